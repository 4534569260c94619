/// How a picture that is judged is resized before it is put into the middle of its input.
public enum PictureFit: String, Sendable, Hashable, CaseIterable {
  /// The longer side gets the input's length and the other its share, rounded up; smaller pictures are means of what a
  /// pixel covers.
  case yolov5
  /// The same rounded down: YOLOv6, v7 and v9.
  case yolov6
  /// Rounded up, by the nearest pixels alone.
  case ultralytics
  /// Both sides get the input's length, by the nearest pixels alone: RT-DETR.
  case stretched

  /// Whether a pixel of a smaller picture is the mean of all that it covers.
  var averages: Bool { self == .yolov5 || self == .yolov6 }

  /// The new [height, width] of a picture.
  func size(of picture: [Int], side: Int) -> [Int] {
    if self == .stretched { return [side, side] }
    let ratio = Double(side) / Double(max(picture[0], picture[1]))
    guard ratio != 1 else { return picture }
    return picture.map { length in
      let exact = Double(length) * ratio
      return switch self {
      // Of a picture as narrow as a thread a pixel is left.
      case .yolov6: max(1, Int(exact))
      case .yolov5: Int(exact.rounded(.up))
      case .ultralytics, .stretched: min(side, Int(exact.rounded(.up)))
      }
    }
  }
}
