import { createUser } from "@nats-io/nkeys";
import { describe, expect, it } from "vitest";
import { createLog } from "../../shared/observe/log.ts";

const collect = (level: "info" | "warn" = "info") => {
  const lines: string[] = [];
  const log = createLog({
    name: "cim-agent",
    node: "leaf1",
    level,
    destination: { write: (line) => void lines.push(line) },
  });
  return { log, lines };
};

describe("the log", () => {
  it("is one JSON line per message, with the node, the program, the level by name and the time", () => {
    const { log, lines } = collect();
    log.child({ part: "uplink" }).warn({ lagEvents: 3 }, "behind");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        level: "warn",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        node: "leaf1",
        name: "cim-agent",
        part: "uplink",
        lagEvents: 3,
        msg: "behind",
      },
    ]);
    expect(lines[0]).toMatch(/\n$/);
  });

  it("leaves out what is below its level", () => {
    const { log, lines } = collect("warn");
    log.info("quiet");
    expect(lines).toEqual([]);
  });

  it("lets no secret through, in a field, a message, an error or its cause", () => {
    const { log, lines } = collect();
    const seed = new TextDecoder().decode(createUser().getSeed());
    const cause = new Error(`dial nats://me:hunter2@127.0.0.1:4222 with ${seed}`);
    log.info({ seed, user: { pass: "hunter2", nested: { token: "hunter2" } } }, `seed ${seed}`);
    log.error({ err: new Error("cannot connect", { cause }) }, "nats://me:hunter2@127.0.0.1:4222");
    const all = lines.join("");
    expect(all).not.toContain(seed);
    expect(all).not.toContain("hunter2");
    expect(all).toContain("nats://[redacted]@127.0.0.1:4222");
    expect(() => lines.map((line) => JSON.parse(line))).not.toThrow();
  });
});
