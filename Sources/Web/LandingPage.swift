/// The page at `/`: what this is, and where its pages are.
public enum LandingPage {
  /// - Parameter links: path and text of each.
  public static func html(title: String, description: String, version: String, links: [(path: String, text: String)])
    -> String
  {
    let items = links.map { "<li><a href=\"\(escape($0.path))\">\(escape($0.text))</a></li>" }.joined(separator: "\n")
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="UTF-8">
      <meta name="viewport" content="width=device-width, initial-scale=1.0">
      <title>\(escape(title))</title>
      <style>
      body { font-family: system-ui, sans-serif; margin: 0; }
      header { background: #12507b; color: #fff; padding: 1rem; }
      main { padding: 1rem; }
      </style>
      </head>
      <body>
      <header><h1>\(escape(title))</h1></header>
      <main>
      <h2>\(escape(description))</h2>
      <div>Version: \(escape(version))</div>
      <ul>
      \(items)
      </ul>
      </main>
      </body>
      </html>

      """
  }

  /// A text for HTML.
  static func escape(_ text: String) -> String {
    text.unicodeScalars.reduce(into: "") { escaped, scalar in
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
  }
}
