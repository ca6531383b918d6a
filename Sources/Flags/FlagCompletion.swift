/// What a shell needs to complete flags, and the manual page: kingpin's hidden flags.
extension FlagParser {
  /// The words that can follow: one a line.
  public var completions: String {
    definitions.filter { !$0.isHidden }.map { "--\($0.name)\n" }.joined()
  }

  /// - Parameter program: the command's name, of letters, digits and underscores.
  public static func bashScript(program: String) -> String {
    """
    _\(program)_bash_autocomplete() {
        local cur opts
        COMPREPLY=()
        cur="${COMP_WORDS[COMP_CWORD]}"
        opts=$( ${COMP_WORDS[0]} --completion-bash "${COMP_WORDS[@]:1:$COMP_CWORD}" )
        COMPREPLY=( $(compgen -W "${opts}" -- ${cur}) )
        return 0
    }
    complete -F _\(program)_bash_autocomplete -o default \(program)

    """
  }

  /// - Parameter program: as in `bashScript`.
  public static func zshScript(program: String) -> String {
    """
    #compdef \(program)

    _\(program)() {
        local matches=($(${words[1]} --completion-bash "${(@)words[1,$CURRENT]}"))
        compadd -a matches

        if [[ $compstate[nmatches] -eq 0 && $words[$CURRENT] != -* ]]; then
            _files
        fi
    }

    if [[ "$(basename -- ${(%):-%x})" != "_\(program)" ]]; then
        compdef _\(program) \(program)
    fi

    """
  }

  /// The manual page in troff's man macros.
  public func manualPage(program: String) -> String {
    func escaped(_ text: String) -> String {
      let escapes: [Character: String] = ["\\": "\\\\", "-": "\\-", "'": "\\(aq"]
      return text.map { escapes[$0] ?? String($0) }.joined()
    }
    let flags = definitions.filter { !$0.isHidden }.map { flag in
      ".TP\n\\fB\(escaped(flag.leftColumn))\\fR\n\(escaped(flag.help))\n"
    }
    return """
      .TH \(program) 1
      .SH "NAME"
      \(program)
      .SH "SYNOPSIS"
      .TP
      \\fB\(program) [<flags>]\\fR
      .SH "OPTIONS"

      """ + flags.joined()
  }
}
