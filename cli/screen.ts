import { setTimeout as sleep } from "node:timers/promises";
import { CommandFailure } from "./failure.ts";
import { Interruption } from "./interruption.ts";

const EVERY_MS = 1_000;
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

/**
 * Shows something again and again until Ctrl-C: on a terminal in one place, else each time below the last. A failure is
 * shown like all else, as it may pass.
 */
export async function watchOnScreen(draw: () => Promise<readonly string[]>): Promise<void> {
  using interruption = new Interruption();
  const screen = process.stdout.isTTY;
  if (screen) process.stdout.write(ENTER);
  try {
    while (!interruption.came) {
      const lines = await drawOrSay(draw);
      if (interruption.came) break;
      process.stdout.write(screen ? atTheTop(lines) : `${lines.join("\n")}\n`);
      await sleep(EVERY_MS, undefined, { signal: interruption.signal }).catch(() => undefined);
    }
  } finally {
    if (screen) process.stdout.write(LEAVE);
  }
}

async function drawOrSay(draw: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await draw();
  } catch (error) {
    if (error instanceof CommandFailure && error.exitCode === 1) return [error.message];
    throw error;
  }
}

/** Writes over what is there, without a flicker; what is left below goes. */
function atTheTop(lines: readonly string[]): string {
  const most = Math.max(1, (process.stdout.rows ?? 24) - 1);
  const shown = lines.slice(0, most).map((line) => `${line}\x1b[K`);
  return `\x1b[H${shown.join("\n")}\n\x1b[J`;
}
