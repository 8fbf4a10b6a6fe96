#!/usr/bin/env node
import { noteReaderGone, readerHasGone } from "./print-line.ts";
import { run } from "./program.ts";

// `cim events tail | head` closes our stdout: that is the reader's way to say enough, not a fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // What was still under way fails too; a second signal would not let anything be put in order.
  if (readerHasGone()) return;
  if (error.code !== "EPIPE") throw error;
  noteReaderGone();
  // Who has something to put in order first (a lab) listens for this.
  if (!process.emit("SIGTERM", "SIGTERM")) process.exit(0);
});

process.exitCode = await run(process.argv.slice(2));
