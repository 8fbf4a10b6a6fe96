import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

/** scripts/run in a small checkout of its own, started as npm would on a machine with an older Node. */
const root = join(import.meta.dirname, "../..");
const EMPTY_LOCK = JSON.stringify({ lockfileVersion: 3, packages: { "": {} } });
let checkout: TempDir;

beforeEach(async () => {
  checkout = await tempDir();
  for (const file of [
    "scripts/run",
    "scripts/prepare.js",
    "scripts/installed-packages.js",
    "scripts/ensure-nats-server.ts",
    "shared/nats/server-binary.ts",
    "shared/protocol/error-text.ts",
  ]) {
    await cp(join(root, file), at(file), { recursive: true });
  }
  await linkTools();
  await write("package.json", JSON.stringify({ name: "small", type: "module" }));
  await write("package-lock.json", EMPTY_LOCK);
  await write("node_modules/.package-lock.json", EMPTY_LOCK);
  await symlink(join(root, "node_modules/node"), at("node_modules/node"));
  await write(
    "entry.ts",
    `const [how = "", ...rest]: string[] = process.argv.slice(2);
     if (how === "wait") setInterval(() => {}, 1000);
     if (how === "wait") process.on("SIGTERM", () => process.exit(7)); // before the line that says so is out
     console.log(JSON.stringify({ pid: process.pid, major: parseInt(process.versions.node), rest }));
     if (how === "code") process.exitCode = Number(rest[0]);`,
  );
});
afterEach(async () => {
  await checkout[Symbol.asyncDispose]();
});

test("runs the source on Node 24 with its arguments, and passes its exit code on", async () => {
  const { code, stdout, stderr } = await ended(run(["entry.ts", "code", "3", "two words", "$HOME"]));
  expect(JSON.parse(stdout)).toMatchObject({ rest: ["3", "two words", "$HOME"] });
  expect(JSON.parse(stdout).major).toBeGreaterThanOrEqual(24);
  expect(code).toBe(3);
  expect(stderr).toBe("");
});

test("leaves no launcher behind: the process started is the program", async () => {
  const child = run(["entry.ts", "wait"]);
  const stdout = collect(child.stdout);
  const { pid } = await eventually(() => JSON.parse(stdout.text));
  expect(pid).toBe(child.pid);
  child.kill("SIGTERM");
  expect((await once(child, "exit"))[0]).toBe(7);
});

test("installs what package-lock.json asks for, once, and keeps stdout clean", async () => {
  const wanted = JSON.stringify({ packages: { "": {}, "node_modules/zod": { version: "4.0.0" } } });
  await write("package-lock.json", wanted);
  await fakeCommand(
    "npm",
    `echo "npm $1" >> npm-calls; echo noise; cp package-lock.json node_modules/.package-lock.json`,
  );
  for (let i = 0; i < 2; i++) {
    const { code, stdout } = await ended(run(["entry.ts"]));
    expect(code).toBe(0);
    expect(stdout.split("\n")).toHaveLength(2);
  }
  expect(await readFile(at("npm-calls"), "utf8")).toBe("npm install\n");
});

test("a failed installation is one line and exit code 2", async () => {
  await write(
    "package-lock.json",
    JSON.stringify({ packages: { "node_modules/zod": { version: "4.0.0" } } }),
  );
  await fakeCommand("npm", "exit 1");
  const { code, stdout, stderr } = await ended(run(["entry.ts"]));
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr.trim().split("\n").at(-1)).toBe(
    "cim: npm install failed: see its message above, then try again",
  );
});

test("without a nats-server, Go builds the pinned one into .cim/bin, once", async () => {
  await fakeCommand(
    "go",
    `echo "go $*" >> go-calls
     [ "$1" = install ] || exit 0
     mkdir -p "$GOBIN" && printf '#!/bin/sh\\necho nats-server: v2.15.2\\n' > "$GOBIN/nats-server"
     chmod +x "$GOBIN/nats-server"`,
  );
  for (let i = 0; i < 2; i++) {
    const { code, stdout } = await ended(run(["--nats-server", "entry.ts"]));
    expect(code).toBe(0);
    expect(stdout.split("\n")).toHaveLength(2);
  }
  expect(await readFile(at("go-calls"), "utf8")).toBe(
    "go version\ngo install github.com/nats-io/nats-server/v2@v2.15.2\n",
  );
});

test("without a nats-server and without Go: how to get one, exit code 2", async () => {
  await fakeCommand("go", "exit 127");
  const { code, stdout, stderr } = await ended(run(["--nats-server", "entry.ts"]));
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^cim: nats-server not found .*go install .*\n$/);
});

test("a nats-server that CIM_NATS_SERVER names is never replaced by another", async () => {
  await fakeCommand("go", "touch go-was-called");
  const { code, stderr } = await ended(run(["--nats-server", "entry.ts"], { CIM_NATS_SERVER: "/nowhere" }));
  expect(code).toBe(2);
  expect(stderr).toMatch(/^cim: CIM_NATS_SERVER names \/nowhere, .*\n$/);
  await expect(readFile(at("go-was-called"))).rejects.toThrow("ENOENT");
});

function at(path: string): string {
  return join(checkout.path, path);
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), text);
}

async function fakeCommand(name: string, script: string): Promise<void> {
  await write(`fake/${name}`, `#!/bin/sh\ncd "$(dirname "$0")/.."\n${script}\n`);
  await chmod(at(`fake/${name}`), 0o755);
}

/** PATH is one folder: the fakes, the system's Node, and the few tools the scripts call. No real npm, Go or server. */
function run(args: string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(at("scripts/run"), args, {
    env: { PATH: at("fake"), HOME: checkout.path, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function linkTools(): Promise<void> {
  await mkdir(at("fake"));
  // npm puts node_modules/.bin before PATH; what a newcomer's shell would run is behind it.
  const folders = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"));
  for (const tool of ["node", "dirname", "cp", "mkdir", "chmod", "touch"]) {
    const path = execFileSync("/bin/sh", ["-c", `command -v ${tool}`], {
      env: { PATH: folders.join(delimiter) },
      encoding: "utf8",
    });
    await symlink(path.trim(), at(`fake/${tool}`));
  }
}

function collect(stream: NodeJS.ReadableStream | null): { text: string } {
  const collected = { text: "" };
  stream?.setEncoding("utf8").on("data", (chunk: string) => {
    collected.text += chunk;
  });
  return collected;
}

async function ended(child: ChildProcess): Promise<{ code: number; stdout: string; stderr: string }> {
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const [code] = (await once(child, "close")) as [number];
  return { code, stdout: stdout.text, stderr: stderr.text };
}
