#!/usr/bin/env node
import { run } from "./program.ts";

// `cim events tail | head` closes our stdout: that is the reader's way to say enough, not a fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2));
