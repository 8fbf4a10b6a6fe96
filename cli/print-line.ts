let gone = false;

/** Whoever read our stdout has closed it: what is still to be printed is for nobody. */
export function readerHasGone(): boolean {
  return gone;
}

/** For the one who listens for stdout's errors. */
export function noteReaderGone(): void {
  gone = true;
}

/** Waits while the reader of our stdout is slower than we are; not for one that has gone. */
export async function printLine(text: string): Promise<void> {
  const { stdout } = process;
  if (gone || stdout.write(`${text}\n`)) return;
  const events = ["drain", "close", "error"];
  await new Promise<void>((resolve) => {
    const done = () => {
      for (const event of events) stdout.off(event, done);
      resolve();
    };
    for (const event of events) stdout.once(event, done);
  });
}
