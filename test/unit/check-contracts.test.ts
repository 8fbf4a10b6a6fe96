import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkContractsCommand } from "../../shared/config/index.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

let dir: TempDir;
beforeAll(async () => {
  dir = await tempDir();
});
afterAll(async () => {
  await dir?.[Symbol.asyncDispose]();
});

const file = (name: string, content: unknown): string => {
  const path = join(dir.path, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};
const check = (path: string, env = {}) => checkContractsCommand(path, env);
const json = async (path: string) => {
  const { text, exitCode } = await checkContractsCommand(path, {}, { json: true });
  return { exitCode, ...(JSON.parse(text) as Record<string, unknown>) };
};

describe("check-contracts", () => {
  it("shows the contracts complete, of a file of them or of a whole configuration", async () => {
    const contracts = { orders: { mode: "strong", retentionDays: 2 }, stock: { resolver: "crdt" } };
    const alone = file("contracts.json", contracts);
    const whole = file("hub.json", {
      node: "hub",
      role: "hub",
      dataDir: "/x",
      log: { retentionDays: 1 },
      contracts,
    });
    const { text, exitCode } = await check(alone);
    expect(exitCode).toBe(0);
    expect(text.split("\n")[0]).toMatch(/contracts\.json: ok, contracts [0-9a-f]{16}$/);
    expect(text).toMatch(/^ {2}orders +strong +last-write-wins +per field +kept 2 days +any node$/m);
    expect(text).toMatch(/^ {2}stock +eventual +crdt +0 typed fields +kept as the log +any node$/m);
    expect(text).toMatch(/^ {2}\(others\) +eventual +last-write-wins /m);
    const expected = {
      exitCode: 0,
      ok: true,
      usual: expect.objectContaining({ domain: "*", mode: "eventual" }),
      domains: { orders: expect.objectContaining({ mode: "strong" }), stock: expect.anything() },
    };
    expect(await json(alone)).toMatchObject(expected);
    const { hash } = (await json(alone)) as { hash?: unknown };
    expect(await json(whole)).toMatchObject({ ...expected, hash });
  });

  it("takes the defaults from the environment, as a daemon does", async () => {
    const { text } = await check(file("none.json", {}), { CIM_CONFLICT_RESOLUTION: "vector-clock" });
    expect(text).toMatch(/\(others\) +eventual +vector-clock/);
  });

  it("says in one line what is wrong, where, and what to write", async () => {
    const causal = file("causal.json", { orders: { mode: "causal" } });
    const { text, exitCode } = await check(causal);
    expect(exitCode).toBe(2);
    expect(text).toMatch(
      /^\S+causal\.json: contracts\.orders\.mode: is "causal", not yet offered by this build \(.*; write .*\n$/,
    );
    expect(text.trimEnd()).not.toContain("\n");
    expect(await json(causal)).toMatchObject({
      exitCode: 2,
      ok: false,
      faults: [{ path: "contracts.orders.mode", write: expect.stringMatching(/^"eventual"/) }],
    });
    expect(await check(file("broken.json", '{"a":}'))).toMatchObject({
      exitCode: 2,
      text: expect.stringMatching(/broken\.json: is not JSON at line 1, column 6/),
    });
    expect(await check(join(dir.path, "none-such.json"))).toMatchObject({
      exitCode: 2,
      text: expect.stringMatching(/none-such\.json: there is no such file; write /),
    });
  });

  it("tries a module, and says which rule it breaks", async () => {
    const good = file("good.mjs", "export const reduce = (value, { data }) => ({ ...value, ...data });");
    expect(await check(file("good.json", { a: { module: good } }))).toMatchObject({ exitCode: 0 });
    const counting = file("counting.mjs", "let n = 0; export const reduce = () => ({ n: n++ });");
    expect(await check(file("counting.json", { a: { module: counting } }))).toMatchObject({
      exitCode: 2,
      text: expect.stringMatching(/: contracts\.a\.module: breaks the rule of determinism.*; write a module/),
    });
    const empty = file("empty.mjs", "");
    expect(await check(file("empty.json", { a: { module: empty } }))).toMatchObject({
      exitCode: 2,
      text: expect.stringMatching(/: contracts\.a\.module: can't be used: .*exports none of reduce/),
    });
    expect(await check(file("gone.json", { a: { module: join(dir.path, "gone.mjs") } }))).toMatchObject({
      exitCode: 2,
      text: expect.stringMatching(
        /: contracts\.a\.module: is ".*gone\.mjs", which cannot be read \(ENOENT\)/,
      ),
    });
  });
});
