import ModelCore

/// What is to be found in the pictures of a batch.
public struct DetectionTargets: Sendable, Hashable {
  /// One box.
  public struct Row: Sendable, Hashable {
    /// The picture's number in the batch, from 0.
    public var picture: Int
    /// The number of its class, from 0.
    public var classIndex: Int
    /// The centre to the right, as a share of the picture's width.
    public var centerX: Double
    /// The centre downwards, as a share of the picture's height.
    public var centerY: Double
    /// As a share of the picture's.
    public var width: Double
    /// As a share of the picture's.
    public var height: Double

    /// One box.
    public init(picture: Int, classIndex: Int, centerX: Double, centerY: Double, width: Double, height: Double) {
      (self.picture, self.classIndex) = (picture, classIndex)
      (self.centerX, self.centerY, self.width, self.height) = (centerX, centerY, width, height)
    }
  }

  /// The boxes of all pictures; those of one stay in this order.
  public var rows: [Row]

  /// Boxes of a batch.
  public init(_ rows: [Row] = []) { self.rows = rows }

  /// The originals' form, floating [boxes, 6]: picture, class, centre x, centre y, width, height.
  /// - Throws: `ModelError` for another shape, and for pictures and classes that are no whole numbers.
  public init(_ tensor: Tensor) throws {
    guard tensor.shape.count == 2, tensor.shape[1] == 6 else {
      throw ModelError(
        .mismatch, "have shape \(tensor.shape), not [boxes, 6]: picture, class and four sides", subject: "targets")
    }
    let numbers = try tensor.doubles()
    rows = try (0..<tensor.shape[0]).map { index in
      let row = numbers[index * 6..<index * 6 + 6].map { $0 }
      guard let picture = Int(exactly: row[0]), let classIndex = Int(exactly: row[1]) else {
        throw ModelError(
          .invalid, "row \(index) is of picture \(row[0]) and class \(row[1]), which are no whole numbers",
          subject: "targets")
      }
      return Row(
        picture: picture, classIndex: classIndex, centerX: row[2], centerY: row[3], width: row[4], height: row[5])
    }
  }

  /// Looks at every row.
  /// - Throws: `ModelError` for pictures and classes that there are not, and for sides that are no numbers, negative or
  ///   a million pictures away.
  func check(pictures: Int, classes: Int) throws {
    for (index, row) in rows.enumerated() {
      func refused(_ reason: String) -> ModelError {
        ModelError(.invalid, "row \(index) \(reason)", subject: "targets")
      }
      guard (0..<pictures).contains(row.picture) else {
        throw refused("is of picture \(row.picture), but the batch has \(pictures), numbered from 0")
      }
      guard (0..<classes).contains(row.classIndex) else {
        throw refused("is of class \(row.classIndex), but there are \(classes), numbered from 0")
      }
      let sides = [row.centerX, row.centerY, row.width, row.height]
      guard sides.allSatisfy({ abs($0) <= 1e6 }), row.width >= 0, row.height >= 0 else {
        throw refused("has the box \(sides), which is none in shares of a picture")
      }
    }
  }

  /// The boxes of each picture in pixels, without those whose corners' sum is not above 0, which the originals take for
  /// empty places.
  func boxes(pictures: Int, classes: Int, height: Int, width: Int) throws -> [[TargetBox]] {
    try check(pictures: pictures, classes: classes)
    var found = [[TargetBox]](repeating: [], count: pictures)
    let (w, h) = (Double(width), Double(height))
    for row in rows {
      let box = CornerBox(
        centerX: row.centerX * w, centerY: row.centerY * h, width: row.width * w, height: row.height * h)
      guard box.x1 + box.y1 + box.x2 + box.y2 > 0 else { continue }
      found[row.picture].append(TargetBox(classIndex: row.classIndex, box: box))
    }
    return found
  }
}
