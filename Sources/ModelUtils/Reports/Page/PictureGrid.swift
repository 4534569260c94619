import ModelCore
import ModelImages

/// Pictures in a grid, each with its true and its predicted class, as small as the page's size asks for.
struct PictureGrid {
  let pictures: [RunReport.Picture]
  /// The longest sides that are tried, in pixels.
  private static let sides = [128, 96, 64, 48, 32]
  /// More are never shown.
  private static let limit = 400

  init(_ pictures: [RunReport.Picture]) { self.pictures = pictures }

  /// The part of the page.
  /// - Parameters:
  ///   - room: how many bytes it may have.
  ///   - title: its heading.
  func html(room: Int, title: String) throws -> String {
    if pictures.isEmpty { return "" }
    var items: [String] = []
    let longest = pictures.map { max($0.picture.height, $0.picture.width) }.max() ?? 0
    // Larger ones leave all pictures as they are too.
    let enough = Self.sides.last { $0 >= longest } ?? Self.sides[0]
    for side in Self.sides where side <= enough {
      items = []
      var left = room - 400
      for picture in pictures.prefix(Self.limit) {
        let item = try Self.item(picture, side: side)
        left -= item.utf8.count
        if left < 0 { break }
        items.append(item)
      }
      if items.count == min(pictures.count, Self.limit) { break }
    }
    let missing = pictures.count - items.count
    let note = missing > 0 ? "<p>\(missing) more did not fit.</p>\n" : ""
    return PageText.part(title, "<ul class=\"grid\">\n\(items.joined())</ul>\n\(note)")
  }

  private static func item(_ entry: RunReport.Picture, side: Int) throws -> String {
    let small = try shrunk(entry.picture, to: side)
    let data = MarkupText.base64(try small.encoded(as: .png, compression: 6))
    let (truth, prediction) = (PageText.value(entry.truth), PageText.value(entry.prediction))
    let isRight = entry.truth == entry.prediction
    let sure = entry.confidence.map { " (\(MarkupText.percent($0)))" } ?? ""
    let caption = isRight ? "\(truth)\(sure)" : "\(prediction)\(sure), is \(truth)"
    return """
      <li class="\(isRight ? "hit" : "miss")"><img alt="true \(truth), predicted \(prediction)" \
      width="\(small.width)" height="\(small.height)" src="data:image/png;base64,\(data)"/>\(caption)</li>

      """
  }

  /// The picture with 8 bits a channel and no side longer than `side`.
  private static func shrunk(_ picture: ImageFile, to side: Int) throws -> ImageFile {
    let pixels = try picture.bytes()
    let longest = max(picture.height, picture.width)
    guard longest > side else { return try ImageFile(pixels: pixels) }
    let scale = Double(side) / Double(longest)
    let size = [picture.height, picture.width].map { max(1, Int((Double($0) * scale).rounded())) }
    return try ImageFile(pixels: resizeAntialiased(pixels, to: size))
  }
}
