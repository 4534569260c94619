import ModelCore

/// How what was found in pictures is written down for other programs.
extension Detection {
  /// A line of YOLO's label files: the class, then, as shares of the picture's sides, the box's middle and size and the
  /// keypoints; of a turned box its corners.
  /// - Parameter size: the picture's [height, width].
  public func labelLine(size: [Int]) -> String {
    guard size.count == 2 else { return "" }
    let (height, width) = (Double(max(1, size[0])), Double(max(1, size[1])))
    var numbers: [Double]
    if let corners {
      numbers = corners.flatMap { [Double($0.x) / width, Double($0.y) / height] }
    } else {
      let (x1, y1, x2, y2) = (Double(box.x1), Double(box.y1), Double(box.x2), Double(box.y2))
      numbers = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
      for point in keypoints ?? [] {
        numbers += [Double(point.x) / width, Double(point.y) / height] + (point.confidence.map { [Double($0)] } ?? [])
      }
    }
    return ([String(classIndex)] + numbers.map { CFormat.string("%g", $0) }).joined(separator: " ")
  }

  /// The heading of the table that `tableRow` gives the rows of.
  public static let tableHeading = "file,class,name,score,x1,y1,x2,y2"

  /// A row of a table with commas.
  public func tableRow(file: String) -> String {
    let numbers = [score, box.x1, box.y1, box.x2, box.y2].map { CFormat.string("%.6g", Double($0)) }
    return ([Self.quoted(file), String(classIndex), Self.quoted(className)] + numbers).joined(separator: ",")
  }

  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}

/// A finding in COCO's format of results, a list of which pycocotools loads.
public struct COCOResult: Encodable, Sendable {
  /// The number that a picture's file is named by, else the name without its extension.
  let imageID: ImageID
  let fileName: String
  let categoryID: Int
  let bbox: [Double]
  let score: Double
  let segmentation: Mask?
  let keypoints: [Double]?

  enum ImageID: Encodable, Sendable, Hashable {
    case number(Int)
    case name(String)

    func encode(to encoder: any Encoder) throws {
      switch self {
      case .number(let number): try number.encode(to: encoder)
      case .name(let name): try name.encode(to: encoder)
      }
    }
  }

  private enum CodingKeys: String, CodingKey {
    case imageID = "image_id"
    case fileName = "file_name"
    case categoryID = "category_id"
    case bbox, score, segmentation, keypoints
  }

  /// What was found in a picture.
  /// - Parameters:
  ///   - stem: the name of the picture's file without its extension.
  ///   - file: the name of the picture's file.
  public init(_ detection: Detection, stem: String, file: String) {
    imageID = Int(stem).map { .number($0) } ?? .name(stem)
    fileName = file
    categoryID = detection.classIndex
    func rounded(_ value: Float, _ scale: Double = 1000) -> Double { (Double(value) * scale).rounded() / scale }
    let box = detection.box
    bbox = [box.x1, box.y1, box.width, box.height].map { rounded($0) }
    score = rounded(detection.score, 100000)
    segmentation = detection.mask
    keypoints = detection.keypoints?.flatMap { [rounded($0.x), rounded($0.y), rounded($0.confidence ?? 1)] }
  }
}
