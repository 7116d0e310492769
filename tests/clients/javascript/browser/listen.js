export const listen = (source) => {
  for (const name of ['message', 'created', 'gap', 'bye', 'cursor'])
    source.addEventListener(name, (event) => window.say(event.type, event.data, event.lastEventId ?? event.id));
};
