import { describe, expect, test } from "vitest";
import { findLayerViolations, readSources } from "../../../scripts/layers.ts";

function judge(file: string, text: string): string[] {
  return findLayerViolations([{ file, text }]).map((violation) => `${violation.line} ${violation.message}`);
}

describe("layers", () => {
  test("the sources keep to them", async () => {
    const sources = await readSources(`${import.meta.dirname}/../../..`);
    expect(sources.length).toBeGreaterThan(10);
    expect(findLayerViolations(sources)).toEqual([]);
  });

  test.each([
    ["a value", `import { a } from "../nats/connect.ts";`],
    ["a type", `import type { A } from "../nats/connect.ts";`],
    ["several lines", `import {\n  a,\n  type B,\n} from "../nats/connect.ts";`],
    ["a re-export", `export * from "../nats/connect.ts";`],
    ["a side effect", `import "../nats/connect.ts";`],
    ["on demand", `const { a } = await import("../nats/connect.ts");`],
    ["a type on demand", `let a: import("../nats/connect.ts").A;`],
  ])("a higher layer is refused: %s", (_, text) => {
    expect(judge("shared/config/load.ts", text)).toEqual([
      "1 imports shared/nats/connect.ts: shared/config is below shared/nats",
    ]);
  });

  test("lower layers and the own one are fine, at any depth", () => {
    expect(judge("shared/nats/a.ts", `import "../protocol/names.ts";\nimport "./b.ts";`)).toEqual([]);
    expect(judge("agent/uplink/deep/a.ts", `import "../../../shared/client/x.ts";`)).toEqual([]);
    expect(judge("shared/follow/a.ts", `import "../consistency/clock.ts";`)).toEqual([]);
  });

  test("the daemons stay apart, but for the hub's own outbox", () => {
    expect(judge("agent/main.ts", `import "../coordinator/x.ts";`)).toHaveLength(1);
    expect(judge("coordinator/sequencer/a.ts", `import "../../agent/uplink/x.ts";`)).toHaveLength(1);
    expect(judge("coordinator/main.ts", `import "../agent/downlink/x.ts";`)).toHaveLength(1);
    expect(judge("coordinator/own-outbox.ts", `import "../agent/own-node.ts";`)).toEqual([]);
  });

  test("the protocol does no I/O", () => {
    expect(judge("shared/protocol/a.ts", `import { readFile } from "node:fs/promises";`)).toEqual([
      "1 imports node:fs/promises: shared/protocol does no I/O",
    ]);
    expect(judge("shared/protocol/a.ts", `import { connect } from "@nats-io/transport-node";`)).toHaveLength(
      1,
    );
    expect(judge("shared/protocol/a.ts", `import { zstdCompressSync } from "node:zlib";`)).toEqual([]);
  });

  test("nothing reaches into tests or a folder without a layer", () => {
    expect(judge("lab/a.ts", `import "../test/support/free-port.ts";`)).toHaveLength(1);
    expect(judge("shared/utils/a.ts", "")).toHaveLength(1);
  });

  test("the line is named, and text that only looks like an import is left alone", () => {
    expect(judge("shared/config/a.ts", `// from "../nats/x.ts"\n\nimport "../nats/y.ts";`)).toEqual([
      "3 imports shared/nats/y.ts: shared/config is below shared/nats",
    ]);
  });
});
