import { execFile, spawn } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Lab } from "../../lab/lab.ts";
import { eventually } from "../support/eventually.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** What docs/recipes.md shows, taken from there and run on a lab. Where Go or natscli is missing, that part is skipped. */

const root = join(import.meta.dirname, "../..");
const recipes = await readRecipes();
const PREPARE_TIMEOUT_MS = 240_000; // modules from the proxy and a first build
const goPath = await said("go", ["env", "GOPATH"], process.env.PATH);
const path = goPath ? `${process.env.PATH}:${join(goPath, "bin")}` : process.env.PATH;
const hasNats = (await said("nats", ["--version"], path)) !== undefined;

let dir: TempDir;
let lab: Lab;

beforeAll(async () => {
  dir = await tempDir("cim-recipes-");
  lab = await Lab.up({ dir: join(dir.path, "lab"), leaves: 1 });
  await symlink(join(root, "node_modules"), join(dir.path, "node_modules"));
  for (const [file, text] of recipes) await writeFile(join(dir.path, file), text);
});

afterAll(async () => {
  await lab?.close();
  await dir?.[Symbol.asyncDispose]();
});

it("runs every program that is shown", () => {
  expect([...recipes.keys()]).toEqual(["publish.mjs", "read.mjs", "main.go", "append.sh", "read.sh"]);
});

it("nats.js: what is published on a leaf, a durable consumer on the hub reads once", async () => {
  const leaf = lab.leaf("leaf1").document.nats;
  const hub = lab.hub.document.nats;
  expect(await run(process.execPath, ["publish.mjs"], leaf)).toBe("stored on leaf1 as CIM_OUTBOX 1\n");
  const line = /^cim\.events\.orders\.7\.OrderPlaced of leaf1: \{"total":12\.5\} \([0-9a-f-]{36}\)$/;
  const first = await readUntil(hub, (lines) => lines.length === 1);
  expect(first).toEqual([expect.stringMatching(line)]);
  expect(await run(process.execPath, ["publish.mjs"], leaf)).toBe("stored on leaf1 as CIM_OUTBOX 2\n");
  // Started again it goes on where it was.
  const second = await readUntil(hub, (lines) => lines.length === 1);
  expect(second).toEqual([expect.stringMatching(line)]);
  expect(second).not.toEqual(first);
});

it(
  "Go: publishes, and reads what came back from the hub",
  async ({ skip }) => {
    const missing = await buildGo();
    if (missing !== undefined) skip(missing);
    const said = await run(join(dir.path, "go", "recipe"), [], lab.leaf("leaf1").document.nats);
    expect(said).toMatch(
      /^stored on leaf1 as CIM_OUTBOX \d+\ncim\.events\.orders\.8\.OrderPaid: \{"paid":12\.5\} \(payment-8\)\n$/,
    );
  },
  2 * PREPARE_TIMEOUT_MS,
);

it.skipIf(!hasNats)("nats: appends, and reads with a consumer that remembers", async () => {
  const leaf = lab.leaf("leaf1").document.nats;
  const appended = await run("sh", ["-eu", "append.sh"], leaf);
  expect(appended).toMatch(/"stream":\s*"CIM_OUTBOX"/);
  expect(appended).toMatch(/"domain":\s*"leaf1"/);
  const read = await run("sh", ["-eu", "read.sh"], leaf);
  expect(read).toContain('{"name":"Ada"}');
  expect(read.split('{"to":"London"}')).toHaveLength(3);
  expect(read).toMatch(/Cim-Id: my-id-1/);
});

/** The reader goes on for ever: it is ended when it has shown what is waited for. */
async function readUntil(url: string, done: (lines: string[]) => boolean): Promise<string[]> {
  const child = spawn(process.execPath, ["read.mjs"], {
    ...options(url),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += String(chunk);
  });
  const lines = () => text.split("\n").slice(0, -1);
  try {
    await eventually(() => done(lines()), { what: "what read.mjs prints" });
    await settled(url);
    return lines();
  } finally {
    child.kill();
    await ended;
  }
}

/** Waits until the consumer's last acknowledgement is in: without it the event comes again, as documented. */
async function settled(url: string): Promise<void> {
  const { connect } = await import("@nats-io/transport-node");
  const { jetstreamManager } = await import("@nats-io/jetstream");
  const nc = await connect({ servers: url });
  try {
    const manager = await jetstreamManager(nc);
    await eventually(
      async () => (await manager.consumers.info("CIM_EVENTS", "billing")).num_ack_pending === 0,
    );
  } finally {
    await nc.close();
  }
}

/** Builds main.go as the text above it says. Why it can't be, where it can't. */
async function buildGo(): Promise<string | undefined> {
  const version = /go get (github\.com\/nats-io\/nats\.go@\S+?)`/.exec(await recipeText())?.[1] ?? "";
  const folder = join(dir.path, "go");
  await mkdir(folder);
  await writeFile(join(folder, "main.go"), recipes.get("main.go") ?? "");
  const go = (...args: string[]) =>
    promisify(execFile)("go", args, { cwd: folder, timeout: PREPARE_TIMEOUT_MS });
  try {
    await go("mod", "init", "recipe");
    await go("get", version);
  } catch (error) {
    return `no Go, or no module proxy: ${error instanceof Error ? error.message.split("\n")[0] : error}`;
  }
  await go("mod", "tidy");
  await go("build", "-o", "recipe", ".");
  return undefined;
}

async function run(command: string, args: readonly string[], url: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(command, args, { ...options(url), timeout: 120_000 });
  return command === "sh" ? stdout + stderr : stdout;
}

function options(url: string) {
  return { cwd: dir.path, env: { ...process.env, PATH: path, NATS_URL: url } };
}

/** What a command says; undefined where there is none. */
async function said(command: string, args: readonly string[], PATH = ""): Promise<string | undefined> {
  try {
    const env = { ...process.env, PATH };
    const { stdout } = await promisify(execFile)(command, args, { timeout: 30_000, env });
    return stdout.trim();
  } catch {
    return undefined;
  }
}

function recipeText(): Promise<string> {
  return readFile(join(root, "docs", "recipes.md"), "utf8");
}

/** Code blocks with a file's name behind the language. */
async function readRecipes(): Promise<Map<string, string>> {
  const blocks = (await recipeText()).matchAll(/^```\w+ (\S+\.\w+)\n([\s\S]*?)^```$/gm);
  return new Map(blocks.map(([, file = "", text = ""]) => [file, text]));
}
