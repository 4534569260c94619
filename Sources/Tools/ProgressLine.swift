import ModelUtils

/// A moment of a run, in words.
struct ProgressLine {
  let done: Int
  let total: Int
  let seconds: Double
  let what: String
  let unit: Progress.Unit

  /// `[########            ] 40 % 12/30 pictures, 3.4/s, 5 s left`, not wider than `width`.
  func bar(width: Int) -> String {
    let room = min(30, width - text.count - 3)
    guard share != nil, room >= 5 else { return String(text.prefix(max(0, width))) }
    let filled = Int((share ?? 0) * Double(room))
    return "[" + String(repeating: "#", count: filled) + String(repeating: " ", count: room - filled) + "] " + text
  }

  var text: String {
    var text = total > 0 ? "\(amount(Double(done)))/\(amount(Double(total)))" : amount(Double(done))
    text += unit == .items ? " \(what)" : ""
    guard seconds > 0, done > 0 else { return text }
    let rate = Double(done) / seconds
    text += ", \(unit == .items ? CFormat.string("%.3g", rate) : amount(rate))/s"
    if total > done {
      text += ", \(Self.time(Double(total - done) / rate)) left"
    } else if total > 0, unit == .bytes {
      text += ", syncing"
    }
    return unit == .items ? text : "\(what) \(text)"
  }

  private var share: Double? { total > 0 ? min(1, max(0, Double(done) / Double(total))) : nil }

  private func amount(_ value: Double) -> String {
    guard unit == .bytes else { return CFormat.string("%.0f", value) }
    return value < 1e9 ? CFormat.string("%.0f MB", value / 1e6) : CFormat.string("%.2f GB", value / 1e9)
  }

  /// `5 s`, `3:20`, `1:00:07`.
  private static func time(_ seconds: Double) -> String {
    guard seconds < 1e8 else { return "years" }
    let whole = Int(seconds.rounded(.up))
    if whole < 60 { return "\(whole) s" }
    let (minutes, rest) = (whole / 60, whole % 60)
    if minutes < 60 { return CFormat.string("%d:%02d", minutes, rest) }
    return CFormat.string("%d:%02d:%02d", minutes / 60, minutes % 60, rest)
  }
}
