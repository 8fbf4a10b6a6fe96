import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DAEMON_NODE_OPTIONS, daemonCommand, daemonEnvironment } from "../../lab/daemon-command.ts";

describe("how the lab runs a daemon", () => {
  it("gives it the options that an installed one has", async () => {
    const launch = await readFile(join(import.meta.dirname, "../../bin/launch.sh"), "utf8");
    expect(/options="([^"]*)"/.exec(launch)?.[1]?.split(" ")).toEqual(DAEMON_NODE_OPTIONS);
    expect(daemonCommand("leaf", "config.json")).toEqual([
      process.execPath,
      ...DAEMON_NODE_OPTIONS,
      expect.stringMatching(/agent\/main\.ts$/),
      "--config",
      "config.json",
    ]);
  });

  it("leaves what the user said of the C library's heaps, and takes what would make every node the same one", () => {
    expect(daemonEnvironment({ CIM_HTTP: "127.0.0.1:1", HOME: "/h" })).toEqual({
      HOME: "/h",
      MALLOC_ARENA_MAX: "1",
    });
    expect(daemonEnvironment({ MALLOC_ARENA_MAX: "4" })).toEqual({ MALLOC_ARENA_MAX: "4" });
  });
});
