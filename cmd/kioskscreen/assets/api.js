// Calls of the control API, through the door on our own origin.

const callTimeout = 16000; // ms; the door gives up on the daemon after 15 s

// A change of the machine's addresses makes a call fail that is just being made; one
// change comes seldom alone.
const pauses = [50, 100, 200, 400]; // ms between the tries

// call sends JSON and gives {ok, status, data, problem}. It never throws: a door
// that is gone reads as the problem daemon_unreachable. A command that is sent
// again keeps its key: it acts once, whichever of the two arrived.
export async function call(method, path, body, { key = crypto.randomUUID(), again = pauses } = {}) {
  const headers = {};
  if (method !== "GET") headers["Idempotency-Key"] = key;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await reach(path, {
      method, headers, signal: AbortSignal.timeout(callTimeout),
      body: body === undefined ? undefined : JSON.stringify(body),
    }, again);
    const data = (answer.headers.get("Content-Type") ?? "").includes("json") ? await answer.json() : null;
    return answer.ok ? { ok: true, status: answer.status, data } : { ok: false, status: answer.status, problem: data };
  } catch {
    return { ok: false, status: 0, problem: { code: "daemon_unreachable" } };
  }
}

// reach is fetch that tries again, after each pause, where there was no answer at all.
export async function reach(path, options, again = pauses) {
  for (const pause of [...again, 0]) {
    try {
      return await fetch(path, options);
    } catch (error) {
      if (!pause || error.name !== "TypeError") throw error;
    }
    await new Promise((done) => { setTimeout(done, pause); });
  }
}
