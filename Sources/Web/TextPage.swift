/// A page that shows a text as it is.
public enum TextPage {
  public static func html(title: String, text: String) -> String {
    HTML.document(
      title: title,
      body: """
        <h1>\(HTML.escape(title))</h1>
        <pre>\(HTML.escape(text))</pre>
        """)
  }
}
