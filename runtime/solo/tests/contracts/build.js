// Compiles the contracts of this folder with the `solc` npm package and writes contracts.json, the
// bytecode that the runtime's tests deploy:
//
//   npm install --no-save solc@0.8.37 && node build.js
//
// `Large` is generated here: functions are added until one more would pass the EVM's limit of 24,576
// bytes of code (EIP-170).
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const CODE_LIMIT = 24_576;

function compile(name, source) {
  const input = {
    language: "Solidity",
    sources: { [name]: { content: source } },
    settings: {
      metadata: { bytecodeHash: "none" },
      outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors || []).filter((e) => e.severity === "error");
  if (errors.length) throw new Error(errors.map((e) => e.formattedMessage).join("\n"));
  const { bytecode, deployedBytecode } = output.contracts[name][name].evm;
  return { creation: bytecode.object, runtime: deployedBytecode.object };
}

function large(functions) {
  let body = "";
  for (let i = 0; i < functions; i++) {
    body += `function f${i}(uint256 x) external { values[${i}] = x * ${i + 3} + values[${i}]; }\n`;
  }
  return `pragma solidity ^0.8.30; contract Large { mapping(uint256 => uint256) public values; ${body} }`;
}

function largest() {
  let [fits, tooMany] = [1, 1000];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    const size = compile("Large", large(middle)).runtime.length / 2;
    if (size <= CODE_LIMIT) fits = middle;
    else tooMany = middle;
  }
  return compile("Large", large(fits));
}

const contracts = {
  compiler: solc.version(),
  Ledger: compile("Ledger", fs.readFileSync(path.join(__dirname, "Ledger.sol"), "utf8")),
  Large: largest(),
};
for (const name of ["Ledger", "Large"]) {
  console.log(`${name}: ${contracts[name].runtime.length / 2} bytes of code`);
}
fs.writeFileSync(path.join(__dirname, "contracts.json"), JSON.stringify(contracts, null, 1) + "\n");
