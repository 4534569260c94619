/// How plots look, on light and on dark ground.
enum PlotStyle {
  /// How many colours there are for series; the next ones repeat them, dashed.
  static let colorCount = 8
  /// The colour of a number, whatever it is.
  static func color(_ number: Int) -> Int { (number % colorCount + colorCount) % colorCount }

  private static let light = ["2563c9", "c8452c", "1f8a4c", "8a4fc0", "b0730a", "0f7f90", "c23a84", "5c6670"]
  private static let dark = ["74a7ff", "ff8a70", "5fce8d", "c49bf5", "edb44f", "55c9da", "f587bf", "aab4be"]

  /// The rules, for a drawing by itself or a page with many.
  static let css: String = {
    func rules(_ text: String, _ faint: String, _ ground: String, _ box: String, _ colors: [String]) -> String {
      let series = colors.enumerated().map { index, color in
        ".mu-s\(index){stroke:#\(color)}.mu-d\(index){fill:#\(color)}"
      }
      return ".mu-ground{fill:#\(ground)}.mu-text{fill:#\(text)}.mu-line{stroke:#\(faint)}"
        + ".mu-box{fill:#\(box);stroke:#\(faint)}" + series.joined()
    }
    return """
      .mu-text{font:12px system-ui,sans-serif}.mu-title{font-size:15px;font-weight:600}\
      .mu-line{stroke-width:1;fill:none}.mu-curve{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}\
      .mu-dashed{stroke-dasharray:6 4}.mu-right{fill:#2563c9}.mu-wrong{fill:#c2410c}.mu-text.mu-on{fill:#fff}\
      .mu-strong{font-weight:600}.mu-faint{opacity:.72}\
      .mu-edge{fill:none;stroke:#7d8893;stroke-width:1.4}.mu-tip{fill:#7d8893}\
      \(rules("1d2329", "d5dade", "ffffff", "f4f6f7", light))\
      @media (prefers-color-scheme:dark){\(rules("e6e9ec", "3a4149", "16191d", "22272c", dark))}
      """
  }()

  /// The element around a drawing.
  /// - Parameter isAlone: whether it is a file of its own, with its rules in it.
  static func svg(width: Double, height: Double, title: String, isAlone: Bool, _ content: String) -> String {
    let (width, height) = (MarkupText.place(width), MarkupText.place(height))
    let name = MarkupText.escaped(title)
    let style = isAlone ? "<style>\(css)</style>\n" : ""
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
      role="img" aria-label="\(name)">
      \(style)<rect class="mu-ground" width="\(width)" height="\(height)"/>
      \(content)</svg>

      """
  }

  /// A line of text.
  /// - Parameter anchor: `start`, `middle` or `end`.
  static func text(
    _ text: String, x: Double, y: Double, anchor: String = "start", class other: String = "", turned: Bool = false
  ) -> String {
    let (x, y) = (MarkupText.place(x), MarkupText.place(y))
    let name = other.isEmpty ? "mu-text" : "mu-text \(other)"
    let turn = turned ? " transform=\"rotate(-90 \(x) \(y))\"" : ""
    return
      "<text class=\"\(name)\" x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\"\(turn)>\(MarkupText.escaped(text))</text>\n"
  }

  /// About how wide a line of text is; East Asian letters are twice as wide as others.
  static func width(of text: String, size: Double = 12) -> Double {
    text.unicodeScalars.reduce(0) { $0 + ($1.value >= 0x1100 ? 1 : 0.58) } * size
  }
}
