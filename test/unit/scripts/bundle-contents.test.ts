import type { Metafile } from "esbuild";
import { expect, test } from "vitest";
import { bundledPackages, importedPackages } from "../../../scripts/bundle-contents.ts";

const metafile: Metafile = {
  inputs: {
    "cli/main.ts": { bytes: 1, imports: [] },
    "node_modules/zod/v4/index.js": { bytes: 1, imports: [] },
    "node_modules/zod/v4/core.js": { bytes: 1, imports: [] },
    "node_modules/a/node_modules/@b/c/index.js": { bytes: 1, imports: [] },
  },
  outputs: {
    "dist/client.js": {
      bytes: 1,
      inputs: {},
      exports: [],
      imports: [
        { path: "node:fs", kind: "import-statement", external: true },
        { path: "@nats-io/nats-core/internal", kind: "import-statement", external: true },
        { path: "zod", kind: "import-statement", external: true },
        { path: "dist/chunk.js", kind: "import-statement" },
      ],
    },
  },
};

test("what is bundled is named by its package, nested ones too", () => {
  expect(bundledPackages(metafile)).toEqual(["node_modules/a/node_modules/@b/c", "node_modules/zod"]);
});

test("what is imported at run time is named by its package, without Node's modules and our own files", () => {
  expect(importedPackages(metafile)).toEqual(["@nats-io/nats-core", "zod"]);
});
