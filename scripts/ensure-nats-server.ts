/**
 * Finds a nats-server that is new enough, or builds the pinned one into .cim/bin with Go.
 * Silent when there is one; exits 2 with one line when there is none and none can be had.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findServerBinary, MINIMUM_NATS_SERVER, ServerBinaryError } from "../shared/nats/server-binary.ts";

const MODULE = `github.com/nats-io/nats-server/v2@v${MINIMUM_NATS_SERVER}`;
const BUILD_TIMEOUT_MS = 10 * 60_000; // a cold module cache on a slow line

let missing = await whyMissing();
if (missing !== undefined && !process.env.CIM_NATS_SERVER && build()) missing = await whyMissing();
if (missing !== undefined) {
  process.stderr.write(`cim: ${missing}\n`);
  process.exitCode = 2;
}

async function whyMissing(): Promise<string | undefined> {
  try {
    await findServerBinary();
    return undefined;
  } catch (error) {
    if (error instanceof ServerBinaryError) return error.message;
    throw error;
  }
}

function build(): boolean {
  if (spawnSync("go", ["version"], { stdio: "ignore" }).status !== 0) return false;
  const bin = join(import.meta.dirname, "..", ".cim", "bin");
  process.stderr.write(
    `cim: no nats-server >= ${MINIMUM_NATS_SERVER} here: building it into .cim/bin with Go, once, about a minute …\n`,
  );
  const { status } = spawnSync("go", ["install", MODULE], {
    env: { ...process.env, GOBIN: bin },
    stdio: ["ignore", 2, 2],
    timeout: BUILD_TIMEOUT_MS,
  });
  return status === 0;
}
