// Drives an OpenLedger node as wallets and explorers do: polkadot.js, the node's own metadata, and no
// type written for this chain. Ends with an error at the first thing that is not as it should be.
//
//   node check.mjs ws://127.0.0.1:9944

import assert from 'node:assert/strict';

import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';

const OPEN = 1_000_000_000_000n;

/** The longest wait for a transaction to become final, in milliseconds. */
const FINALITY_LIMIT = 60_000;

function say(what) {
  console.log(`- ${what}`);
}

/** Signs a call, waits until its block is final, and gives its events and its error, by name. */
function execute(api, call, key) {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`${call.method.method} is not final in time`));
    const timer = setTimeout(late, FINALITY_LIMIT);
    const done = (settle) => (value) => {
      clearTimeout(timer);
      settle(value);
    };
    call
      .signAndSend(key, ({ dispatchError, events, isError, status }) => {
        if (isError) {
          done(reject)(new Error(`${call.method.method} is ${status.type}`));
        } else if (status.isFinalized) {
          let error = dispatchError?.toString() ?? null;
          if (dispatchError?.isModule) {
            const { section, name } = api.registry.findMetaError(dispatchError.asModule);
            error = `${section}.${name}`;
          }
          done(resolve)({ error, events: events.map(({ event }) => event) });
        }
      })
      .catch(done(reject));
  });
}

/** The one event of this name. */
function find(events, section, method) {
  const found = events.filter((event) => event.section === section && event.method === method);
  const all = events.map((event) => `${event.section}.${event.method}`);
  assert.equal(found.length, 1, `one ${section}.${method} in ${all}`);
  return found[0];
}

async function check(api) {
  const chain = (await api.rpc.system.chain()).toString();
  const { specName, specVersion } = api.runtimeVersion;
  say(`${chain}, ${specName} ${specVersion}`);
  assert.equal(specName.toString(), 'openledger');

  const properties = await api.rpc.system.properties();
  assert.deepEqual(properties.tokenSymbol.unwrap().toJSON(), ['OPEN']);
  assert.deepEqual(properties.tokenDecimals.unwrap().toJSON(), [12]);
  assert.equal(properties.ss58Format.unwrap().toNumber(), 42);
  assert.equal(properties.isEthereum.isTrue, false);
  say('amounts are OPEN with 12 decimals, addresses have prefix 42');

  for (const pallet of ['datanets', 'models', 'workers', 'inference', 'attribution', 'validators']) {
    assert.ok(api.query[pallet], `the metadata describes ${pallet}`);
  }
  assert.equal(api.errors.datanets.UnknownDatanet.meta.docs.length > 0, true);
  say(`metadata V${api.runtimeMetadata.version} with ${Object.keys(api.tx).length} pallets with calls`);

  const keyring = new Keyring({ type: 'sr25519', ss58Format: 42 });
  const alice = keyring.addFromUri('//Alice');
  const receiver = keyring.addFromUri('//Receiver of this check');

  const free = async (who) => (await api.query.system.account(who)).data.free.toBigInt();
  const before = await free(receiver.address);
  const transfer = api.tx.balances.transferKeepAlive(receiver.address, 5n * OPEN);
  const fee = (await transfer.paymentInfo(alice)).partialFee.toBigInt();
  assert.ok(fee > 0n && fee < OPEN, `a transfer costs some but not much: ${fee}`);
  const sent = await execute(api, transfer, alice);
  assert.equal(sent.error, null);
  const moved = find(sent.events, 'balances', 'Transfer').data;
  assert.equal(moved.from.toString(), alice.address);
  assert.equal(moved.to.toString(), receiver.address);
  assert.equal(moved.amount.toBigInt(), 5n * OPEN);
  assert.equal((await free(receiver.address)) - before, 5n * OPEN);
  const paid = find(sent.events, 'transactionPayment', 'TransactionFeePaid').data.actualFee;
  say(`5 OPEN sent for a fee of ${paid.toBigInt()} planks, ${fee} expected`);
  assert.ok(paid.toBigInt() <= fee, 'nobody pays more than was said');

  const licence = {
    commercial: true,
    derivatives: true,
    shareAlike: false,
    revenueShare: 250,
    expiresAt: null,
    purposes: 0b1111,
  };
  const terms = {
    price: 2n * OPEN,
    access: 'Approval',
    defaultVerdict: 'Reject',
    reviewPeriod: api.consts.datanets.minReviewPeriod,
    metadata: `0x${'5a'.repeat(32)}`,
  };
  const name = 'Vogelstimmen – ptičje petje';
  const creation = api.tx.datanets.createDatanet(name, 'Audio', licence, terms);
  const created = await execute(api, creation, alice);
  assert.equal(created.error, null);
  const { datanet, owner, kind } = find(created.events, 'datanets', 'DatanetCreated').data;
  assert.equal(owner.toString(), alice.address);
  assert.equal(kind.type, 'Audio');
  const held = find(created.events, 'balances', 'Held').data;
  assert.equal(held.reason.type, 'Datanets');
  assert.equal(held.reason.asDatanets.type, 'DatanetDeposit');
  say(`datanet ${datanet} created with a deposit of ${held.amount.toBigInt()} planks`);

  const stored = (await api.query.datanets.datanets(datanet)).unwrap();
  assert.equal(stored.owner.toString(), alice.address);
  assert.equal(stored.name.toUtf8(), name);
  assert.equal(stored.kind.type, 'Audio');
  assert.equal(stored.licence.revenueShare.toNumber(), 250);
  assert.equal(stored.licence.expiresAt.isNone, true);
  assert.equal(stored.terms.price.toBigInt(), 2n * OPEN);
  assert.equal(stored.terms.access.type, 'Approval');
  assert.equal(stored.terms.defaultVerdict.type, 'Reject');
  assert.equal(stored.terms.metadata.toHex(), terms.metadata);
  assert.equal(stored.takesContributions.isTrue, true);
  const owned = await api.query.datanets.datanetsOf(alice.address);
  assert.ok(owned.some((id) => id.eq(datanet)), 'it is in the list of its owner');
  say('its storage reads as what was sent');

  const unknown = await execute(api, api.tx.datanets.publishVersion(4_000_000), alice);
  assert.equal(unknown.error, 'datanets.UnknownDatanet');
  say('an error of ours is shown by its name');
}

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node check.mjs <ws-url>');
  process.exit(2);
}
const api = await ApiPromise.create({
  provider: new WsProvider(url),
  throwOnConnect: true,
});
let failure = null;
try {
  await check(api);
  say('everything is as it should be');
} catch (error) {
  failure = error;
  console.error(error);
}
await api.disconnect();
process.exit(failure ? 1 : 0);
