/// Shapes as people write them.
enum ShapeText {
  /// `1×3×640×640`; `scalar` without axes.
  static func one(_ shape: [Int]) -> String {
    shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: "×")
  }

  /// The first of several, and how many more there are.
  static func list(_ shapes: [[Int]]) -> String {
    guard let first = shapes.first else { return "" }
    return shapes.count == 1 ? one(first) : "\(one(first)) +\(shapes.count - 1)"
  }
}
