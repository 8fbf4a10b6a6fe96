import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { keepContracts, keptContracts, readContractsFile } from "../../lab/lab-contracts.ts";
import { withTempDir } from "../support/temp-dir.ts";

const contracts = { orders: { mode: "strong" } } as const;

it("a lab keeps the contracts that it ran under last", async () => {
  await withTempDir(async (dir) => {
    expect(await keptContracts(dir)).toEqual({});
    await keepContracts(dir, contracts);
    expect(await keptContracts(dir)).toEqual(contracts);
    await keepContracts(dir, {});
    expect(await keptContracts(dir)).toEqual({});
  });
});

it("contracts of a file are given as they were written, or refused in one line", async () => {
  await withTempDir(async (dir) => {
    const file = join(dir, "contracts.json");
    await writeFile(file, JSON.stringify(contracts));
    expect(await readContractsFile(file)).toEqual(contracts);
    await writeFile(file, (await readFile(file, "utf8")).replace("strong", "causal"));
    await expect(readContractsFile(file)).rejects.toMatchObject({
      message: expect.stringMatching(
        /^\S+contracts\.json: contracts\.orders\.mode: is "causal", not yet .*$/,
      ),
      exitCode: 2,
    });
    await expect(keptContracts(dir)).rejects.toThrow(/contracts\.orders\.mode/);
  });
});
