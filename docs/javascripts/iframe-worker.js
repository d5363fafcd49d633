// Browsers start no Worker from a page that is a file. Search needs one, so there it runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const base = new URL(address, document.baseURI)
      const waiting = []
      this.send = (data) => waiting.push(data)
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.append(this.frame)
      const inside = this.frame.contentWindow
      const load = (file) => new Promise((done, failed) => {
        const script = inside.document.createElement("script")
        script.src = new URL(file, base)
        script.onload = done
        script.onerror = failed
        inside.document.body.append(script)
      })
      const emit = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.postMessage = (data) => setTimeout(emit, 0, data)
      inside.importScripts = (...files) => files.reduce((before, file) => before.then(() => load(file)), Promise.resolve())
      load(base).then(() => {
        this.send = (data) => inside.dispatchEvent(new inside.MessageEvent("message", { data }))
        waiting.forEach((data) => this.send(data))
      })
    }

    postMessage(data) {
      this.send(data)
    }

    terminate() {
      this.frame.remove()
    }
  }
}
