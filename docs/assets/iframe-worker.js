// Makes search work on pages opened from disk, where browsers start no web worker: its script runs in a hidden iframe.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      this.context = new Promise((resolve, reject) => {
        frame.onload = () => {
          const context = frame.contentWindow
          context.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
          const script = context.document.createElement("script")
          script.src = url
          script.onload = () => resolve(context)
          script.onerror = reject
          context.document.head.append(script)
        }
      })
      frame.srcdoc = "<!doctype html>"
      document.body.append(frame)
    }

    postMessage(data) {
      this.context.then(context => context.dispatchEvent(new context.MessageEvent("message", { data })))
    }
  }
}
