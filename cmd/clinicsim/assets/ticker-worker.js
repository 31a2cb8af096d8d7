// A timer that is not slowed down when its page is in the background.
// In: the interval in ms. Out: one message a tick.

let timer = 0;

self.onmessage = ({ data: interval }) => {
  clearInterval(timer);
  timer = setInterval(() => self.postMessage(0), interval);
};
