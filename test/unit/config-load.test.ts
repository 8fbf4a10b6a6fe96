import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { configDocument } from "../../shared/config/config-schema.ts";
import { allKeyPaths, lookUp } from "../../shared/config/described-key.ts";
import { ConfigError, checkConfigCommand, loadConfig, printSchema } from "../../shared/config/index.ts";

const folder = mkdtempSync(join(tmpdir(), "cim-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const good = JSON.stringify({ node: "hub", role: "hub", dataDir: "/var/lib/cim" });

const messageOf = (path: string): string => {
  try {
    loadConfig(path, {});
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
};

describe("a configuration's file", () => {
  it("is read, a byte order mark or not", () => {
    expect(loadConfig(file("good.json", good), {}).node).toBe("hub");
    expect(loadConfig(file("bom.json", `\uFEFF${good}`), {}).node).toBe("hub");
  });

  it("that is missing, a folder or not JSON is one line with its path", () => {
    const missing = join(folder, "none.json");
    expect(messageOf(missing)).toBe(`${missing}: there is no such file; write the path of one that is there`);
    expect(messageOf(folder)).toMatch(/: is a folder; write /);
    const broken = file("broken.json", '{\n  "node": "hub",\n}');
    expect(messageOf(broken)).toBe(
      `${broken}: is not JSON at line 3, column 1: a key in "…" is expected; write one JSON object`,
    );
  });

  it("keeps the cause of what the system refused", () => {
    expect(() => loadConfig(join(folder, "none.json"), {})).toThrow(
      expect.objectContaining({ exitCode: 2, cause: expect.objectContaining({ code: "ENOENT" }) }),
    );
  });
});

describe("check-config", () => {
  it("says ok and exits 0", () => {
    const path = file("ok.json", good);
    expect(checkConfigCommand(path, {})).toEqual({ text: `${path}: ok, hub hub\n`, exitCode: 0 });
  });

  it("lists every fault and exits 2", () => {
    const path = file("faults.json", '{"node": "hub", "role": "standby", "dataDri": "/x"}');
    expect(checkConfigCommand(path, { CIM_CACHE_SIZE: "many" })).toEqual({
      text: [
        `${path}: 4 faults`,
        '  CIM_CACHE_SIZE: holds "many", not a number; write a whole number of aggregates, as 1000',
        '  role: is "standby", not yet offered by this build; write "hub" or "leaf"',
        '  dataDir: is missing; write an absolute path, as "/var/lib/cim"',
        "  dataDri: is not a known key; write dataDir",
        "",
      ].join("\n"),
      exitCode: 2,
    });
  });

  it("notes what is only read, and what weakens a promise", () => {
    const path = file("notes.json", good.replace("}", ',"nats":{"syncInterval":"10s"}}'));
    const { text, exitCode } = checkConfigCommand(path, {
      CIM_DISCOVERY_METHOD: "dns,kubernetes",
      CIM_AUDIT_RETENTION: "7",
    });
    expect(exitCode).toBe(0);
    expect(text).toMatch(
      /note: audit\.retentionDays is read and checked, but this build does not act on it yet/,
    );
    expect(text).not.toMatch(/note: discovery/);
    expect(text).toMatch(/note: nats\.syncInterval is 10s: a power cut/);
  });
});

describe("print-schema", () => {
  it("is a JSON Schema that refuses unknown keys and knows the defaults", () => {
    expect(JSON.parse(printSchema())).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      required: ["node", "role", "dataDir"],
      additionalProperties: false,
      properties: {
        nats: { additionalProperties: false, properties: { url: { default: "nats://127.0.0.1:4222" } } },
        role: { enum: ["hub", "leaf"] },
      },
    });
  });

  interface PrintedSchema {
    readonly description?: string;
    readonly properties?: Readonly<Record<string, PrintedSchema>>;
    /** Of what may be null. */
    readonly anyOf?: readonly PrintedSchema[];
  }
  const propertyOf = (schema: PrintedSchema | undefined, name: string): PrintedSchema | undefined =>
    [schema, ...(schema?.anyOf ?? [])].find((one) => one?.properties?.[name])?.properties?.[name];

  it("documents every key, and each knows what to write instead", () => {
    const printed: unknown = JSON.parse(printSchema());
    const paths = allKeyPaths(configDocument);
    expect(paths.length).toBeGreaterThan(50);
    for (const path of paths) {
      const described = path
        .split(".")
        .reduce<PrintedSchema | undefined>(propertyOf, printed as PrintedSchema);
      expect(described?.description, path).toMatch(/\.$/);
      expect(lookUp(configDocument, path.split(".")).write, path).toBeDefined();
    }
  });
});
