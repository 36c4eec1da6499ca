// A server-sent event stream that comes back by itself: after errors that the browser takes as final, and when the
// page is looked at again. A page in the background holds no connection.

const RETRY_MILLISECONDS = 500;

/** `handlers` maps event names to functions of (data, id); `onLost` is called whenever the stream breaks. */
export function follow(path, handlers, onLost = () => {}) {
  let source = null;
  let timer = 0;

  function open() {
    if (source || document.hidden) return;
    source = new EventSource(path);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data), event.lastEventId));
    }
    source.addEventListener('error', () => {
      close();
      onLost();
      timer = setTimeout(open, RETRY_MILLISECONDS);
    });
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  addEventListener('pageshow', open);
  open();
  return close;
}
