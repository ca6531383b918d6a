/// The page at `/`: what this is, and where its pages are.
public enum LandingPage {
  /// - Parameter links: path and text of each.
  public static func html(title: String, description: String, version: String, links: [(path: String, text: String)])
    -> String
  {
    let items = links.map { "<li><a href=\"\(HTML.escape($0.path))\">\(HTML.escape($0.text))</a></li>" }.joined(
      separator: "\n")
    return HTML.document(
      title: title,
      style: """
        body { font-family: system-ui, sans-serif; margin: 0; }
        header { background: #12507b; color: #fff; padding: 1rem; }
        main { padding: 1rem; }
        """,
      body: """
        <header><h1>\(HTML.escape(title))</h1></header>
        <main>
        <h2>\(HTML.escape(description))</h2>
        <div>Version: \(HTML.escape(version))</div>
        <ul>
        \(items)
        </ul>
        </main>
        """)
  }
}
