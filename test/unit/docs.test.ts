import { existsSync } from "node:fs";
import { glob, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { commandTable } from "../../cli/command-table.ts";
import { createProgram } from "../../cli/program.ts";
import { GENERATED, GENERATED_DOCS, refreshed } from "../../scripts/generated-docs.ts";
import { checkDocument } from "../../shared/config/index.ts";
import { CONDITIONS } from "../../shared/observe/condition-table.ts";
import { METRICS } from "../../shared/observe/metric-table.ts";
import { HEADER, STREAM } from "../../shared/protocol/names.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (file: string) => readFile(join(root, file), "utf8");

const documents = ["README.md", "CONTRIBUTING.md"];
for await (const file of glob("docs/**/*.md", { cwd: root })) documents.push(file);

describe("what is drawn from the sources", () => {
  it.each(GENERATED_DOCS)("%s is up to date (else: scripts/run scripts/docs.ts)", async (file) => {
    const document = await read(file);
    expect(document).toBe(refreshed(document));
  });

  it("is all in the documents", async () => {
    const all = (await Promise.all(GENERATED_DOCS.map(read))).join("\n");
    for (const name of Object.keys(GENERATED)) expect(all).toContain(`<!-- begin ${name} -->`);
    for (const name of [...Object.keys(CONDITIONS), ...Object.keys(METRICS)])
      expect(all).toContain(`| \`${name}\` |`);
  });

  it("tells a part without an end, and one that is not known", () => {
    expect(() => refreshed("<!-- begin conditions -->\n")).toThrow("has no end");
    expect(() => refreshed("<!-- begin nothing -->\n<!-- end nothing -->")).toThrow(
      "no generated part nothing",
    );
  });
});

describe("links", () => {
  it.each(documents)("of %s lead to a file and a heading", async (file) => {
    for (const [, target = ""] of (await read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = "", heading] = target.split("#");
      const found = path === "" ? join(root, file) : join(root, dirname(file), path);
      expect(existsSync(found), `${file}: ${target}`).toBe(true);
      if (heading === undefined) continue;
      const headings = [...(await readFile(found, "utf8")).matchAll(/^#+ (.*)$/gm)].map(([, text = ""]) =>
        slug(text),
      );
      expect(headings, `${file}: ${target}`).toContain(heading);
    }
  });
});

describe("examples", () => {
  it("are documents that check-config takes", async () => {
    const blocks = [...(await read("README.md")).matchAll(/```json\n([\s\S]*?)```/g)];
    expect(blocks).toHaveLength(2);
    for (const [, text = ""] of blocks) expect(checkDocument(JSON.parse(text))).toMatchObject({ ok: true });
  });

  it("name commands and options that there are", async () => {
    const program = createProgram();
    for (const entry of commandTable) (await entry.load()).register(program, commandTable);
    const texts = (await Promise.all(documents.map(read))).join("\n").matchAll(/^```sh\n([\s\S]*?)^```/gm);
    const shell = [...texts].map(([, text]) => text).join("\n");
    const lines = shell.matchAll(/^(?:npm run (?:-s )?cim --|cim) (.+)$/gm);
    let count = 0;
    for (const [, line = ""] of lines) {
      const words = line.replace(/\s+#.*$/, "").split(/\s+/);
      let command = program;
      let rest = words;
      for (;;) {
        const next = command.commands.find((one) => one.name() === rest[0]);
        if (!next) break;
        command = next;
        rest = rest.slice(1);
      }
      expect(command, line).not.toBe(program);
      if (command.commands.length > 0)
        expect(
          rest.filter((word) => !word.startsWith("--")),
          line,
        ).toEqual([]);
      const options = [...command.options.map(({ long }) => long), "--help"];
      for (const word of words) if (word.startsWith("--")) expect(options, line).toContain(word);
      count += 1;
    }
    expect(count).toBeGreaterThan(10);
  });

  it("name every stream and header in the protocol", async () => {
    const text = await read("docs/protocol.md");
    for (const name of [...Object.values(STREAM), ...Object.values(HEADER)]) expect(text).toContain(name);
  });
});

/** GitHub's anchor of a heading. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}
