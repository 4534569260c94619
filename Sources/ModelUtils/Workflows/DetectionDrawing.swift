import ModelCore
import ModelImages

/// A picture with what was found drawn on it: masks half transparent, boxes (turned ones by their corners), poses, and
/// on each box a label with name and score. Lines are as thick as YOLOv5 draws them, `max(round((height + width + 3) /
/// 2 · 0.003), 2)` pixels; a label that is wider than the picture is made smaller.
/// - Throws: as `ImageFile.init(pixels:)`.
public func drawn(_ detections: [Detection], on picture: ImageFile) throws -> ImageFile {
  var drawing = try DetectionDrawing(picture)
  for detection in detections { drawing.paintMask(of: detection) }
  // The surest comes last, above the others.
  for detection in detections.reversed() {
    drawing.outline(detection)
    drawing.drawPose(of: detection)
    drawing.label(detection)
  }
  return try drawing.canvas.picture()
}

private struct DetectionDrawing {
  var canvas: Canvas
  /// Of lines, in pixels.
  let thickness: Int

  init(_ picture: ImageFile) throws {
    canvas = try Canvas(picture)
    let sum = Double(picture.height + picture.width + 3)
    thickness = max(Int((sum / 2 * 0.003).rounded(.toNearestOrEven)), 2)
  }

  mutating func paintMask(of detection: Detection) {
    let color = Canvas.Color(ofClass: detection.classIndex)
    detection.mask?.forEachRun { column, rows in
      canvas.fill(columns: column..<column + 1, rows: rows, with: color, opacity: 0.5)
    }
  }

  mutating func outline(_ detection: Detection) {
    let color = Canvas.Color(ofClass: detection.classIndex)
    if let corners = detection.corners {
      let points = corners.map { Canvas.Point(Double($0.x), Double($0.y)) }
      let sides = points.indices.map { (points[$0], points[($0 + 1) % points.count]) }
      canvas.stroke(sides, thickness: Double(thickness), with: color)
    } else {
      let (columns, rows) = pixels(detection.box)
      canvas.outline(columns: columns, rows: rows, thickness: thickness, with: color)
    }
  }

  /// COCO's limbs of a person, where there are its 17 keypoints, and the keypoints.
  mutating func drawPose(of detection: Detection) {
    guard let keypoints = detection.keypoints else { return }
    let isSeen = keypoints.map { ($0.confidence ?? 1) >= 0.25 && ($0.x != 0 || $0.y != 0) }
    let points = keypoints.map { Canvas.Point(Double($0.x), Double($0.y)) }
    if keypoints.count == 17 {
      for (index, limb) in Self.limbs.enumerated() where isSeen[limb.0] && isSeen[limb.1] {
        canvas.stroke(
          [(points[limb.0], points[limb.1])], thickness: Double(thickness), with: Canvas.Color(ofClass: index + 7))
      }
    }
    for (index, point) in points.enumerated() where isSeen[index] {
      canvas.stroke([(point, point)], thickness: Double(thickness) * 2.5, with: Canvas.Color(ofClass: index))
    }
  }

  /// Pairs of ankles, knees, hips, shoulders, elbows, wrists, eyes, ears and the nose, in COCO's numbers.
  private static let limbs = [
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10), (1, 2),
    (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
  ]

  /// On the box's upper side; inside it where there is no room above.
  mutating func label(_ detection: Detection) {
    let color = Canvas.Color(ofClass: detection.classIndex)
    let text = "\(detection.className.printable(limit: 60)) \(CFormat.string("%.2f", Double(detection.score)))"
    var capHeight = 5 * Double(thickness)
    let margin = max(2, (capHeight * 0.35).rounded())
    let width = Canvas.width(of: text, capHeight: capHeight)
    let room = Double(canvas.width) - 2 * margin
    if width > room { capHeight = max(6, capHeight * room / width) }
    let size = (
      width: Int((Canvas.width(of: text, capHeight: capHeight) + 2 * margin).rounded(.up)),
      height: Int((capHeight * 1.3 + 2 * margin).rounded(.up))
    )
    let (columns, rows) = pixels(detection.box)
    let half = thickness / 2
    let left = max(0, min(columns.lowerBound - half, canvas.width - size.width))
    let above = rows.lowerBound - half - size.height
    let top = above >= 0 ? above : max(0, min(rows.lowerBound - half, canvas.height - size.height))
    canvas.fill(columns: left..<left + size.width, rows: top..<top + size.height, with: color)
    canvas.write(
      text, at: Canvas.Point(Double(left) + margin, Double(top) + margin + capHeight), capHeight: capHeight,
      thickness: max(1.2, capHeight * 0.13), with: color.contrasting)
  }

  /// A box's whole pixels.
  private func pixels(_ box: Box) -> (columns: Range<Int>, rows: Range<Int>) {
    func bound(_ value: Float, _ limit: Int) -> Int { Int(min(max(value.rounded(), 0), Float(limit))) }
    func range(_ low: Float, _ high: Float, _ limit: Int) -> Range<Int> {
      let first = bound(low, limit)
      return first..<max(first, bound(high, limit))
    }
    return (range(box.x1, box.x2, canvas.width), range(box.y1, box.y2, canvas.height))
  }
}

extension Canvas.Color {
  /// A colour for each class: hues a golden section apart, so that neighbours differ.
  public init(ofClass index: Int) {
    let hue = (Double(max(0, index)) * 0.618034 + 0.02).truncatingRemainder(dividingBy: 1) * 6
    func part(_ shift: Double) -> UInt8 {
      let place = (hue + shift).truncatingRemainder(dividingBy: 6)
      let share = min(max(min(place, 4 - place), 0), 1)
      return UInt8((255 * (1 - 0.85 * share)).rounded())
    }
    self.init(red: part(5), green: part(3), blue: part(1))
  }
}
