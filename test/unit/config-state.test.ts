import { describe, expect, it } from "vitest";
import { checkDocument, faultLine, parseConfig } from "../../shared/config/index.ts";
import { hub, leaf } from "../support/config-documents.ts";

describe("states in a document", () => {
  it("are kept by a hub and not by a leaf, unless it says otherwise", () => {
    expect(parseConfig(hub).state).toEqual({ enabled: true, domains: ["*"] });
    expect(parseConfig(leaf).state).toEqual({ enabled: false, domains: ["*"] });
    expect(parseConfig({ ...leaf, state: { enabled: true, domains: ["person"] } }).state).toEqual({
      enabled: true,
      domains: ["person"],
    });
    expect(parseConfig({ ...hub, state: { enabled: false } }).state.enabled).toBe(false);
  });

  it("are refused where nothing is followed that they could be made of", () => {
    const checked = checkDocument({ ...leaf, state: { enabled: true }, sync: { enabled: false } });
    expect(checked.ok ? [] : checked.faults.map(faultLine)).toEqual([
      expect.stringMatching(/^state\.enabled: is true, but the node follows nothing .*; write false, or /),
    ]);
  });
});
