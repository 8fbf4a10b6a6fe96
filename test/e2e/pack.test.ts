import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** What `npm pack` makes, installed into a folder of its own and used there as a consumer would. */
const root = join(import.meta.dirname, "../..");
const NPM_TIMEOUT_MS = 300_000; // Node 24 is a download of 40 MB where npm's cache is cold
const COMMAND_TIMEOUT_MS = 120_000;
const READY_TIMEOUT_MS = 180_000;

/** Standard output is one line of JSON. */
const PROGRAM = `import { type Appended, connectCim } from "cim";

await using cim = await connectCim({ url: process.env.CIM_NATS_URL ?? "nats://127.0.0.1:4222" });
const created: Appended = await cim.append({
  domain: "person", aggregate: "ada", type: "PersonCreated", data: { name: "Ada" },
});
console.log(JSON.stringify({ ...created, node: cim.node }));
`;

let temp: TempDir;
let consumer: string;
let packed: { filename: string; files: { path: string }[] };

beforeAll(async () => {
  temp = await tempDir();
  consumer = join(temp.path, "consumer");
  await mkdir(consumer);
  await writeFile(join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const packing = await run(
    "npm",
    ["pack", "--json", "--pack-destination", temp.path],
    root,
    {},
    NPM_TIMEOUT_MS,
  );
  expect(packing.code, packing.stderr).toBe(0);
  packed = firstOf(JSON.parse(packing.stdout));
  const tarball = join(temp.path, packed.filename);
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  const installing = await run("npm", ["install", ...flags, tarball], consumer, {}, NPM_TIMEOUT_MS);
  expect(installing.code, installing.stderr).toBe(0);
}, 2 * NPM_TIMEOUT_MS);
afterAll(async () => {
  await temp[Symbol.asyncDispose]();
});

test("the tarball holds what runs and what explains it, no sources and no tests", () => {
  const outside = packed.files
    .map((file) => file.path)
    .filter((path) => !/^(bin|dist)\/|^(package\.json|README\.md|LICENSE)$/.test(path));
  expect(outside).toEqual([]);
  expect(packed.files.map((file) => file.path)).toContain("LICENSE");
  expect(packed.files.filter((file) => /(^|\/)tests?\/|\.test\./.test(file.path))).toEqual([]);
});

test("cim runs", async () => {
  const { code, stdout, stderr } = await installed("cim", ["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^Usage: cim /);
});

test.each([
  ["cim-status", [], "cim status"],
  ["cim-health", [], "cim nodes"],
  ["cim-leaf-status", [], "cim nodes"],
  ["cim-leaf-test", [], "cim nodes show"],
  ["cim-events", [], "cim events tail"],
  ["cim-send-command", ["user", "create", '{"name":"Ada"}'], "cim command send"],
  ["cim-replay", ["CIM_EVENTS", "2024-01-01"], "cim events replay"],
])("%s is short for a command of cim", async (name, args, meant) => {
  const { code, stdout, stderr } = await installed(name, [...args, "--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.startsWith(`Usage: ${meant} `), stdout).toBe(true);
});

test.each(["cim-coordinator", "cim-agent"])(
  "%s runs, and says what is wrong with a configuration",
  async (name) => {
    const schema = await installed(name, ["print-schema"]);
    expect(schema).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(schema.stdout)).toHaveProperty("properties");

    await writeFile(join(consumer, "wrong.json"), `{ "nod": "leaf1" }`);
    const checked = await installed(name, ["check-config", "wrong.json"]);
    expect(checked).toMatchObject({ code: 2, stdout: "" });
    expect(checked.stderr).toMatch(/^ *nod: is not a known key; write node$/m);
    expect(checked.stderr).not.toMatch(/^ +at /m);
  },
);

test("a whole fleet runs from the installed commands, a program appends to it, and it is gone after SIGTERM", async () => {
  const cim = spawn(join(consumer, "node_modules/.bin/cim"), ["lab", "up", "--leaves", "1", "--json"], {
    cwd: consumer,
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(cim, "exit");
  try {
    const [line] = await once(createInterface(cim.stdout), "line", {
      signal: AbortSignal.timeout(READY_TIMEOUT_MS),
    });
    const fleet = JSON.parse(line) as { hub: LabNode; leaves: LabNode[] };
    const nodes = [fleet.hub, ...fleet.leaves];
    expect(nodes.map((node) => node.name)).toEqual(["hub", "leaf1"]);
    for (const node of nodes) {
      await eventually(async () => (await fetch(`${node.http}/readyz`)).ok, { what: `${node.name} ready` });
    }
    await writeFile(join(consumer, "program.ts"), PROGRAM);
    const url = fleet.leaves[0]?.nats ?? "";
    const appended = await run(process.execPath, ["program.ts"], consumer, { CIM_NATS_URL: url });
    expect(appended).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(appended.stdout)).toMatchObject({ node: "leaf1", seq: 1 });

    cim.kill("SIGTERM");
    expect((await exited)[0]).toBe(0);
    expect(nodes.flatMap((node) => [node.pid, node.natsPid]).filter(isRunning)).toEqual([]);
  } finally {
    if (cim.exitCode === null) cim.kill("SIGTERM");
    await exited;
  }
});

test("the import is typed: what is right compiles, what is wrong does not", async () => {
  await writeFile(join(consumer, "program.ts"), PROGRAM);
  expect(await typeCheck("program.ts")).toMatchObject({ code: 0, stdout: "" });

  await writeFile(join(consumer, "wrong.ts"), PROGRAM.replace(`"ada"`, "7"));
  const wrong = await typeCheck("wrong.ts");
  expect(wrong.code).not.toBe(0);
  expect(wrong.stdout).toMatch(/^wrong\.ts\(5,\d+\): error TS2322: /);
});

/**
 * Our declarations and those they name are checked too. Without `exactOptionalPropertyTypes`: with it, the
 * declarations of @nats-io/nats-core 3.4 contradict each other.
 */
async function typeCheck(file: string): Promise<Outcome> {
  const options = {
    module: "nodenext",
    target: "es2024",
    lib: ["es2024", "esnext.disposable"],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")],
  };
  await writeFile(
    join(consumer, "tsconfig.json"),
    JSON.stringify({ compilerOptions: options, files: [file] }),
  );
  return run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "."], consumer);
}

function installed(name: string, args: string[]): Promise<Outcome> {
  return run(join(consumer, "node_modules/.bin", name), args, consumer);
}

interface LabNode {
  readonly name: string;
  readonly nats: string;
  readonly http: string;
  readonly pid: number;
  readonly natsPid: number;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  file: string,
  args: string[],
  cwd: string,
  variables: Record<string, string> = {},
  timeout: number = COMMAND_TIMEOUT_MS,
): Promise<Outcome> {
  const env = { ...environment(), ...variables };
  try {
    return { code: 0, ...(await promisify(execFile)(file, args, { cwd, env, timeout })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout?: string; stderr?: string };
    if (typeof code !== "number") throw error; // not started, or killed by the time-out
    return { code, stdout: stdout ?? "", stderr: stderr ?? "" };
  }
}

/** PATH without this project's own Node 24: the commands start on whatever the machine has. */
function environment(): NodeJS.ProcessEnv {
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
  return { ...process.env, PATH: path.join(delimiter) };
}

/** npm 10 and 11 print a list of the packed packages, npm 12 an object by name. */
function firstOf<T>(listed: T[] | Record<string, T>): T {
  const [first] = Object.values(listed);
  if (first === undefined) throw new Error("npm pack says it packed nothing");
  return first as T;
}
