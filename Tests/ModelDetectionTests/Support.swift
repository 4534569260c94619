import Foundation
import ModelCore
import ModelDetection
import TestSupport

/// What the script in `Goldens` wrote.
func golden(_ name: String) throws -> [String: Any] {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
  let data = try Data(contentsOf: folder.appendingPathComponent(name))
  return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
}

/// The script draws the same.
enum Drawn {
  static func uniforms(_ seed: Int, _ count: Int) -> [Float] {
    var generator = Generator(seed)
    return (0..<count).map { _ in Float(generator.next() >> 40) * 0x1p-24 }
  }

  static func bells(_ seed: Int, _ count: Int) -> [Float] {
    let drawn = uniforms(seed, 3 * count)
    return (0..<count).map { (drawn[$0] + drawn[count + $0]) + drawn[2 * count + $0] - 1.5 }
  }

  static func output(_ kind: String, _ seed: Int, _ shape: [Int]) throws -> Tensor {
    let count = shape.reduce(1, *)
    let values: [Float] =
      switch kind {
      case "scores": uniforms(seed, count).map { $0 * $0 * 0.98 + 0.01 }
      case "distances": bells(seed, count).map { $0 + 2 }
      case "anchors": uniforms(seed, count).enumerated().map { $0 % 4 < 2 ? $1 - 0.5 : $1 * 4 + 0.5 }
      default: bells(seed, count).map { $0 * 3 }
      }
    return try Tensor(values, shape)
  }

  static func targets(_ seed: Int, _ counts: [Int], classes: Int, spread: Bool) -> DetectionTargets {
    var rows: [DetectionTargets.Row] = []
    for (picture, count) in counts.enumerated() {
      let drawn = uniforms(seed + picture, 5 * count)
      for index in 0..<count {
        let a = drawn[5 * index..<5 * index + 5].map { $0 }
        let (x, y) = spread ? (a[1] * 1.4 - 0.2, a[2] + 0.2) : (a[1], a[2])
        rows.append(
          DetectionTargets.Row(
            picture: picture, classIndex: Int(a[0] * Float(classes)), centerX: Double(x), centerY: Double(y),
            width: Double(a[3] * 0.4 + 0.02), height: Double(a[4] * 0.4 + 0.02)))
      }
    }
    return DetectionTargets(rows)
  }
}
