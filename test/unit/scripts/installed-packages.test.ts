import { expect, test } from "vitest";
import { installedMatchesLock } from "../../../scripts/installed-packages.js";

const lock = {
  packages: {
    "": { version: "0.1.0" },
    "node_modules/zod": { version: "4.0.0", integrity: "a" },
    "node_modules/esbuild-win32": { version: "1.0.0", integrity: "b", optional: true },
  },
};
const installed = (version: string, integrity = "a") => ({
  packages: { "node_modules/zod": { version, integrity } },
});

test("what is installed is what is locked, without other platforms' packages", () => {
  expect(installedMatchesLock(lock, installed("4.0.0"))).toBe(true);
});

test("another version, other contents or a missing package is behind", () => {
  expect(installedMatchesLock(lock, installed("3.9.0"))).toBe(false);
  expect(installedMatchesLock(lock, installed("4.0.0", "x"))).toBe(false);
  expect(installedMatchesLock(lock, { packages: {} })).toBe(false);
});
