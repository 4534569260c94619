import ModelCore

/// Something that a detector found in a picture; all places are in the picture's pixels.
public struct Detection: Sendable, Hashable, Encodable {
  /// The number of its class, from 0.
  public var classIndex: Int
  /// What the model calls its class; `class 3` where it has no name.
  public var className: String
  /// How sure the model is, 0 to 1.
  public var score: Float
  /// Where it is. Of a box that is turned, the upright one around it.
  public var box: Box
  /// Its outline, where the model gives masks.
  public var mask: Mask?
  /// Its keypoints in the model's order, where the model gives them.
  public var keypoints: [Keypoint]?
  /// The corners of a box that is turned, one after the other around it.
  public var corners: [Corner]?

  /// A finding.
  public init(
    classIndex: Int, className: String, score: Float, box: Box, mask: Mask? = nil, keypoints: [Keypoint]? = nil,
    corners: [Corner]? = nil
  ) {
    (self.classIndex, self.className, self.score, self.box) = (classIndex, className, score, box)
    (self.mask, self.keypoints, self.corners) = (mask, keypoints, corners)
  }

  private enum CodingKeys: String, CodingKey {
    case classIndex = "class"
    case className = "name"
    case score, box, mask, keypoints, corners
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(classIndex, forKey: .classIndex)
    try container.encode(className, forKey: .className)
    try container.encode(Double(score), forKey: .score)
    try container.encode(box, forKey: .box)
    try container.encodeIfPresent(mask, forKey: .mask)
    try container.encodeIfPresent(keypoints, forKey: .keypoints)
    try container.encodeIfPresent(corners, forKey: .corners)
  }
}

/// An upright rectangle by its left upper and right lower corner, encoded as [x1, y1, x2, y2].
public struct Box: Sendable, Hashable, Encodable {
  /// Of the left side.
  public var x1: Float
  /// Of the upper side.
  public var y1: Float
  /// Of the right side.
  public var x2: Float
  /// Of the lower side.
  public var y2: Float

  /// A rectangle.
  public init(_ x1: Float, _ y1: Float, _ x2: Float, _ y2: Float) {
    (self.x1, self.y1, self.x2, self.y2) = (x1, y1, x2, y2)
  }

  /// From left to right.
  public var width: Float { x2 - x1 }
  /// From top to bottom.
  public var height: Float { y2 - y1 }

  public func encode(to encoder: any Encoder) throws { try [x1, y1, x2, y2].map(Double.init).encode(to: encoder) }
}

/// A place that a pose is made of, encoded as [x, y] or [x, y, confidence].
public struct Keypoint: Sendable, Hashable, Encodable {
  /// To the right.
  public var x: Float
  /// Downwards.
  public var y: Float
  /// Whether it can be seen, 0 to 1; nil where the model does not say.
  public var confidence: Float?

  /// A place.
  public init(x: Float, y: Float, confidence: Float? = nil) {
    (self.x, self.y, self.confidence) = (x, y, confidence)
  }

  public func encode(to encoder: any Encoder) throws {
    try ([x, y] + (confidence.map { [$0] } ?? [])).map(Double.init).encode(to: encoder)
  }
}

/// A corner of a box that is turned, encoded as [x, y].
public struct Corner: Sendable, Hashable, Encodable {
  /// To the right.
  public var x: Float
  /// Downwards.
  public var y: Float

  /// A place.
  public init(x: Float, y: Float) { (self.x, self.y) = (x, y) }

  public func encode(to encoder: any Encoder) throws { try [x, y].map(Double.init).encode(to: encoder) }
}

/// Which of a picture's pixels belong to something, in COCO's run-length encoding: encoded as `{size, counts}`, which
/// pycocotools decodes.
public struct Mask: Sendable, Hashable, Encodable {
  /// The picture's [height, width].
  public let size: [Int]
  /// How many pixels lie outside, then inside, then outside, …, column by column.
  public let counts: [Int]

  /// A mask of runs; together they are as long as the picture has pixels.
  init(size: [Int], counts: [Int]) { (self.size, self.counts) = (size, counts) }

  /// How many pixels lie inside.
  public var area: Int { stride(from: 1, to: counts.count, by: 2).reduce(0) { $0 + counts[$1] } }

  /// Calls `body` with each run of pixels inside: the column and the rows.
  public func forEachRun(_ body: (_ column: Int, _ rows: Range<Int>) -> Void) {
    guard size.count == 2, size[0] > 0 else { return }
    let height = size[0]
    var place = 0
    for (index, count) in counts.enumerated() {
      let end = place + count
      while index % 2 == 1, place < end {
        let (column, row) = (place / height, place % height)
        let length = min(height - row, end - place)
        body(column, row..<row + length)
        place += length
      }
      place = end
    }
  }

  /// The counts as COCO's text: each as the difference to the one two before it, five bits a character, the lowest
  /// first.
  public var text: String {
    var bytes: [UInt8] = []
    for (index, count) in counts.enumerated() {
      var rest = index > 2 ? count - counts[index - 2] : count
      var goesOn = true
      while goesOn {
        let bits = rest & 0x1f
        rest >>= 5
        goesOn = rest != (bits & 0x10 != 0 ? -1 : 0)
        bytes.append(UInt8(bits | (goesOn ? 0x20 : 0)) + 48)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private enum CodingKeys: String, CodingKey { case size, counts }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(size, forKey: .size)
    try container.encode(text, forKey: .counts)
  }
}
