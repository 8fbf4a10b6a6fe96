import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { commandTable } from "../../cli/command-table.ts";
import { bashCompletion } from "../../cli/completion-bash.ts";
import { fishCompletion } from "../../cli/completion-fish.ts";
import { completionPlaces, type Place } from "../../cli/completion-places.ts";
import { zshCompletion } from "../../cli/completion-zsh.ts";
import { createProgram } from "../../cli/program.ts";

let places: Place[];

beforeAll(async () => {
  const program = createProgram();
  for (const entry of commandTable) (await entry.load()).register(program, commandTable);
  places = completionPlaces(program);
});

const has = (shell: string) => spawnSync(shell, ["-c", "true"]).status === 0;
const run = async (shell: string, script: string) =>
  (await promisify(execFile)(shell, ["-c", script])).stdout;

it("knows every command of the tree", () => {
  const paths = places.map(({ path }) => path);
  expect(paths).toContain("cim/events/tail");
  expect(paths).toContain("cim/lab/up");
  expect(paths.filter((path) => /^cim\/[^/]+$/.test(path))).toEqual(
    commandTable.map(({ name }) => `cim/${name}`),
  );
  const tail = places.find(({ path }) => path === "cim/events/tail");
  expect(tail?.options.map(({ flags }) => flags.at(-1))).toContain("--from");
  expect(JSON.stringify(places)).not.toContain("--standby");
});

describe.skipIf(!has("bash"))("in bash", () => {
  const completed = async (...words: string[]) => {
    const script = `${bashCompletion(places)}
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cim; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", script, "bash", "cim", ...words]);
    expect(stderr).toBe("");
    return stdout.split("\n").filter((word) => word !== "");
  };

  it("offers commands, flags and values where they belong", async () => {
    expect(await completed("")).toEqual(commandTable.map(({ name }) => name));
    expect(await completed("ev")).toEqual(["events"]);
    expect(await completed("events", "")).toEqual(["publish", "tail", "trace", "replay", "accept-hole"]);
    expect(await completed("events", "tail", "--li")).toEqual(["--limit"]);
    expect(await completed("lab", "kill", "leaf1", "--what", "")).toEqual(["nats", "daemon", "both"]);
    expect(await completed("completion", "z")).toEqual(["zsh"]);
    expect(await completed("status", "--dir", "/us")).toEqual(["/usr"]);
  });

  it("takes an option's value for one, whatever it is called", async () => {
    expect(await completed("events", "tail", "--node", "publish", "--cou")).toEqual([]);
    expect(await completed("events", "tail", "--node", "publish", "--fr")).toEqual(["--from"]);
    expect(await completed("events", "publish", "--count", "")).toEqual([]);
  });
});

it.skipIf(!has("fish"))("fish understands it, and offers the same", async () => {
  const script = `${fishCompletion(places)}\ncomplete -C "cim events ta"; complete -C "cim lab kill --what b"`;
  expect(await run("fish", script)).toMatch(/^tail\t[^\n]+\nboth\t[^\n]+\n$/);
});

it.skipIf(!has("zsh"))("zsh understands it", async () => {
  await run("zsh", `autoload -U compinit; compinit -D -u; ${zshCompletion(places)}\nwhence _cim > /dev/null`);
});
