// A tour of the chain for people: tells the journeys of docs/architecture.md on a development network,
// step by step, with what each step cost and who was paid, and checks every step as it goes.
//
//   node tour.mjs ws://127.0.0.1:9944
//
// It knows only what the node's metadata says. Exits 0 only if every step held.
import assert from "node:assert/strict";
import { ApiPromise, Keyring, WsProvider } from "@polkadot/api";
import { BN, stringToHex, u8aToHex } from "@polkadot/util";
import { blake2AsU8a } from "@polkadot/util-crypto";

const url = process.argv[2] ?? "ws://127.0.0.1:9944";
const api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true });
const keyring = new Keyring({ type: "sr25519" });
const people = Object.fromEntries(
  ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"].map((n) => [n, keyring.addFromUri(`//${n}`)]),
);
const nameOf = (address) =>
  Object.entries(people).find(([, p]) => p.address === address.toString())?.[0] ?? address.toString();

const OPEN = new BN(10).pow(new BN(12));
const open = (planks) => {
  const digits = new BN(planks).toString().padStart(13, "0");
  return `${digits.slice(0, -12)}.${digits.slice(-12)}`.replace(/\.?0+$/, "") + " OPEN";
};
const hash = (text) => u8aToHex(blake2AsU8a(text, 256));
const bold = (text) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);
const chapter = (text) => console.log(`\n${bold(text)}`);
const say = (text) => console.log(`  ${text}`);

/// Signs, waits for the block, and returns the events; a call that fails ends the tour with its name.
function submit(who, call) {
  return new Promise((resolve, reject) => {
    call
      .signAndSend(people[who], ({ status, events, dispatchError }) => {
        if (!status.isInBlock) return;
        if (dispatchError) {
          const e = dispatchError.isModule ? api.registry.findMetaError(dispatchError.asModule) : null;
          reject(new Error(e ? `${e.section}.${e.name}: ${e.docs.join(" ")}` : dispatchError.toString()));
        } else resolve(events.map(({ event }) => event));
      })
      .catch(reject);
  });
}
const find = (events, section, method) => {
  const event = events.find((e) => e.section === section && e.method === method);
  assert(event, `the event ${section}.${method} is missing`);
  return event.data;
};
const balance = async (who) => {
  const { data } = await api.query.system.account(people[who].address);
  return data.free.add(data.reserved);
};
async function blocks(n) {
  const from = (await api.rpc.chain.getHeader()).number.toNumber();
  while ((await api.rpc.chain.getHeader()).number.toNumber() < from + n) {
    await new Promise((r) => setTimeout(r, 500));
  }
}
const issuance = async () => (await api.query.balances.totalIssuance()).toBn();

const licence = {
  commercial: true, derivatives: true, shareAlike: false, revenueShare: 0, expiresAt: null, purposes: 15,
};

const supply = await issuance();
const { specName, specVersion } = api.runtimeVersion;
console.log(`Connected to ${await api.rpc.system.chain()} (${specName} ${specVersion}) at ${url}`);
say(`supply: ${open(supply)}`);
assert(supply.eq(OPEN.mul(new BN(1_000_000_000))));

chapter("1  Contribute: Alice opens a datanet, Bob and Charlie add data");
let events = await submit("Alice", api.tx.datanets.createDatanet(
  "Building permits", "QuestionAnswer", licence,
  { price: 0, access: "Open", defaultVerdict: "Reject", reviewPeriod: 100, metadata: hash("croissant") },
));
const datanet = find(events, "datanets", "DatanetCreated")[0].toNumber();
say(`datanet ${datanet} exists, licence: commercial use and derivatives allowed`);
const contributions = {};
for (const who of ["Bob", "Charlie"]) {
  const seed = `${who}'s records at ${Date.now()}`;
  events = await submit(who, api.tx.datanets.contribute(
    datanet, hash(seed), 250, 40_000, hash(`${seed} blob`), hash(`${seed} salts`)));
  contributions[who] = { datanet, index: find(events, "datanets", "Contributed")[1].toNumber() };
  say(`${who} contributed 250 records; a deposit is held`);
}
for (const who of ["Bob", "Charlie"]) {
  await submit("Alice", api.tx.datanets.acceptContribution(datanet, contributions[who].index));
  say(`Alice accepted ${who}'s contribution; the deposit is back`);
}
events = await submit("Alice", api.tx.datanets.publishVersion(datanet));
find(events, "datanets", "VersionPublished");
say("version 0 is published: one root over both contributions");

chapter("2  Train: Ferdie orders a model, Dave's worker trains it");
events = await submit("Dave", api.tx.models.registerBaseModel(
  hash(`weights ${Date.now()}`), hash("tokenizer"), "llama", licence, "SmolLM2-135M-Instruct", 134_515_008));
const base = find(events, "models", "BaseModelRegistered")[0].toNumber();
await submit("Dave", api.tx.workers.register(people.Eve.address, OPEN.muln(2_000), {
  kinds: ["Inference", "Training"], baseModels: [base], memoryMib: 16_384, slots: 8,
}));
await submit("Eve", api.tx.workers.acceptOperator(people.Dave.address));
say("Dave bonded 2000 OPEN; Eve's key may sign for the worker, and has no power over the bond");
await submit("Alice", api.tx.sudo.sudo(api.tx.parameters.setParameter({
  Models: { ChallengePeriod: [null, 2] },
})));
say("governance (here: sudo) shortened the time to dispute to two blocks, for the tour");
const dave = await balance("Dave");
events = await submit("Ferdie", api.tx.models.requestTraining(
  base, [{ datanet, version: 0 }], hash("rank 16, 3 epochs"), licence, true, OPEN.muln(50), 1_000));
const job = find(events, "models", "TrainingRequested")[0];
say("Ferdie ordered the training for 50 OPEN; they are held, and Dave's worker is assigned");
await submit("Eve", api.tx.models.startTraining(job));
await submit("Eve", api.tx.models.deliverTraining(job, {
  adapterHash: hash("adapter"), spanIndexRoot: hash("spans"), influenceRoot: hash("influence"),
  metrics: { heldoutLossBeforeMicro: 2_100_000, heldoutLossAfterMicro: 1_700_000, trainedTokens: 120_000, steps: 90 },
}));
say("the worker delivered (in this tour, hashes of nothing: workers that train come later)");
await blocks(4);
assert((await balance("Dave")).eq(dave.add(OPEN.muln(50))), "the worker was paid 50 OPEN");
say("nobody disputed it: Dave has his 50 OPEN, Ferdie has a model with its lineage");
const model = (await api.query.models.nextModelId()).toNumber() - 1;
await submit("Ferdie", api.tx.models.publishModel(model, {
  inputPer1000: OPEN.divn(100), outputPer1000: OPEN.muln(3).divn(100),
}));
say(`model ${model} is published: 0.01 OPEN per 1000 tokens in, 0.03 out`);

chapter("3  Ask: Alice asks the model");
const prompt = "Who signs a building permit?";
events = await submit("Alice", api.tx.inference.requestInference(
  model, { Bytes: stringToHex(prompt) }, 100, 200, OPEN));
const [request] = find(events, "inference", "InferenceRequested");
const asked = (await api.query.inference.requests(request)).unwrap();
say(`request ${request}: ${open(asked.phase.asAssigned.held)} are held for at most 100 tokens in and 200 out`);

chapter("4  Attribute and pay: the answer names what it owes to whom");
const answer = { Bytes: stringToHex("The mayor.") };
const contentHash = (text) => {
  // BLAKE2b-256 under the domain of contents, as docs/spec/records-and-proofs.md defines it.
  const domain = new TextEncoder().encode("openledger/content");
  const bytes = new TextEncoder().encode(text);
  const input = new Uint8Array(1 + domain.length + bytes.length);
  input.set([domain.length]);
  input.set(domain, 1);
  input.set(bytes, 1 + domain.length);
  return u8aToHex(blake2AsU8a(input, 256));
};
const eve = await balance("Eve");
events = await submit("Eve", api.tx.inference.submitResult(
  request,
  {
    request, model, promptHash: contentHash(prompt), answerHash: contentHash("The mayor."),
    inputTokens: 60, outputTokens: 7, mode: "Deterministic",
  },
  answer,
  {
    request, model, answerHash: contentHash("The mayor."), evidenceRoot: hash("evidence"),
    shares: [
      { contribution: contributions.Bob, parts: 750_000 },
      { contribution: contributions.Charlie, parts: 250_000 },
    ],
  },
));
assert((await balance("Eve")).eq(eve), "delivering costs the operator nothing");
const settlement = (await api.query.attribution.settlements(request)).unwrap();
say(`fee ${open(settlement.fee)}; the rest of what was held is back with Alice`);
const { split } = settlement;
for (const [part, amount] of [
  ["contributors", split.contributors], ["host (Dave)", split.host],
  ["model owner (Ferdie)", split.modelOwner], ["validators", split.validators], ["treasury", split.treasury],
]) say(`  ${part.padEnd(22)} ${open(amount)}`);
for (const line of settlement.lines) {
  say(`  of the contributors' part: contribution ${line.contribution.index} of ${nameOf(line.owner)} ` +
    `(${line.parts.toNumber() / 10_000} % of the answer) ${open(line.amount)}`);
}
const parts = [split.contributors, split.host, split.modelOwner, split.validators, split.treasury];
assert(parts.reduce((sum, x) => sum.add(x.toBn()), new BN(0)).eq(settlement.fee.toBn()));
const before = await balance("Bob");
events = await submit("Charlie", api.tx.attribution.claimRewardsFor(people.Bob.address));
find(events, "attribution", "RewardsClaimed");
say(`Charlie had Bob's reward paid out to Bob: ${open((await balance("Bob")).sub(before))}`);

chapter("5  The ledger");
assert((await issuance()).eq(supply));
say(`supply: ${open(await issuance())}; nothing was created, nothing was lost`);
await api.disconnect();
