/** `scripts/run scripts/docs.ts`: writes anew what in `docs/` follows from the schema and the tables in the sources. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GENERATED_DOCS, refreshed } from "./generated-docs.ts";

const root = join(import.meta.dirname, "..");
for (const file of GENERATED_DOCS) {
  const path = join(root, file);
  const before = await readFile(path, "utf8");
  const after = refreshed(before);
  if (after !== before) await writeFile(path, after);
  process.stderr.write(`${file}: ${after === before ? "up to date" : "written anew"}\n`);
}
