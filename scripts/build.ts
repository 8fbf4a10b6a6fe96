/**
 * `npm run build` (and `npm pack`): what an installed package runs, in dist/. One self-contained file per
 * command, the client library with its dependencies left to the consumer's node_modules, and its types.
 */
import { spawnSync } from "node:child_process";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BuildOptions, build } from "esbuild";
import { bundledPackages, importedPackages, licenseNotices } from "./bundle-contents.ts";

const root = join(import.meta.dirname, "..");
const DAEMONS_AND_CLI = {
  cim: "cli/main.ts",
  "cim-coordinator": "coordinator/main.ts",
  "cim-agent": "agent/main.ts",
};
const CLIENT = { client: "shared/client/connect-cim.ts" };

const common = {
  absWorkingDir: root,
  outdir: "dist",
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  metafile: true,
  // Names stay: stack traces and error names are read by people, and they cost little.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "none", // their notices are in THIRD-PARTY-LICENSES.txt
  logLevel: "warning",
} satisfies BuildOptions;

await rm(join(root, "dist"), { recursive: true, force: true });

const programs = await build({
  ...common,
  entryPoints: DAEMONS_AND_CLI,
  // CommonJS packages inside an ES module ask for Node's modules by `require`.
  banner: {
    js: `import{createRequire as cimRequire}from"node:module";const require=cimRequire(import.meta.url);`,
  },
});
// Node prints the line that an error was thrown on before what it says: in a library of three lines that is all of it.
const client = await build({
  ...common,
  minifyWhitespace: false,
  entryPoints: CLIENT,
  packages: "external",
});

await refuseUndeclared(importedPackages(client.metafile));
await emitTypes();
await writeFile(
  join(root, "dist/THIRD-PARTY-LICENSES.txt"),
  await licenseNotices(root, bundledPackages(programs.metafile)),
);
await printSizes([...Object.keys(DAEMONS_AND_CLI), ...Object.keys(CLIENT)]);

/** A package that the client imports and package.json only has for development is missing where it is installed. */
async function refuseUndeclared(imported: readonly string[]): Promise<void> {
  const { dependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const undeclared = imported.filter((name) => !(name in dependencies));
  if (undeclared.length > 0) {
    throw new Error(
      `dist/client.js imports ${undeclared.join(", ")}: add them to dependencies in package.json`,
    );
  }
}

async function emitTypes(): Promise<void> {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.declarations.json"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) throw new Error("the client's types could not be emitted: see tsc's messages above");
  await writeFile(join(root, "dist/client.d.ts"), `export * from "./types/shared/client/connect-cim.js";\n`);
}

async function printSizes(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { size } = await stat(join(root, "dist", `${name}.js`));
    // stderr: `npm pack --json` has its document on stdout
    process.stderr.write(`dist/${`${name}.js`.padEnd(20)} ${(size / 1024).toFixed(0).padStart(6)} KiB\n`);
  }
}
