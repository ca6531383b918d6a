/// A page that shows a text as it is.
public enum TextPage {
  public static func html(title: String, text: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="UTF-8">
    <meta name="viewport" content="width=device-width, initial-scale=1.0">
    <title>\(HTML.escape(title))</title>
    </head>
    <body>
    <h1>\(HTML.escape(title))</h1>
    <pre>\(HTML.escape(text))</pre>
    </body>
    </html>

    """
  }
}
