// Reads a JSON list of AsyncAPI documents from stdin, and writes for each what AsyncAPI's own parser says is wrong.
// What it merely informs of, such as a later version of AsyncAPI, is left out.

const { Parser, DiagnosticSeverity } = require('@asyncapi/parser');

async function faults(document) {
  const { diagnostics } = await new Parser().parse(document);
  return diagnostics
    .filter(({ severity }) => severity <= 1)
    .map(({ path, message }) => `${path.join('/')}: ${message}`);
}

async function main() {
  let input = '';
  for await (const chunk of process.stdin) input += chunk;
  console.log(JSON.stringify(await Promise.all(JSON.parse(input).map(faults))));
}

main();
