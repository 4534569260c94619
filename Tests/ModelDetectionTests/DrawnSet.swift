import ModelDetection
import TestSupport

/// Truths and predictions that `Goldens/make_metrics.py` draws the same.
struct DrawnSet {
  var truths: [DetectionTruth] = []
  var predictions: [DetectionPrediction] = []
  private var generator: Generator
  private let grid: Bool
  private let ties: Bool

  init(seed: Int, pictures: Int, classes: Int, grid: Bool, ties: Bool, extra: Int, crowded: Bool) {
    (generator, self.grid, self.ties) = (Generator(seed), grid, ties)
    for picture in 0..<pictures {
      for _ in 0..<Int(uniform() * uniform() * 12) {
        let classIndex = Int(uniform() * Double(classes - 1))
        let box = box()
        let area = box.2 * box.3 * (uniform() < 0.3 ? 0.6 : 1)
        truths.append(
          DetectionTruth(
            picture: picture, classIndex: classIndex, x: box.0, y: box.1, width: box.2, height: box.3, area: area,
            isCrowd: uniform() < 0.1))
        for _ in 0..<Int(uniform() * 4) {
          let other = uniform() < 0.8 ? classIndex : Int(uniform() * Double(classes))
          predict(picture, other, near(box))
        }
      }
    }
    for _ in 0..<extra {
      let (picture, classIndex) = (Int(uniform() * Double(pictures)), Int(uniform() * Double(classes)))
      predict(picture, classIndex, box(), share: 0.6)
    }
    if crowded, let place = truths.first {
      for _ in 0..<150 {
        predict(place.picture, place.classIndex, near((place.x, place.y, place.width, place.height)))
      }
    }
  }

  /// From what the script wrote.
  init(_ item: [Any]) {
    func number(_ place: Int) -> Int { item[place] as? Int ?? 0 }
    func flag(_ place: Int) -> Bool { item[place] as? Bool ?? false }
    self.init(
      seed: number(0), pictures: number(1), classes: number(2), grid: flag(3), ties: flag(4), extra: number(5),
      crowded: flag(6))
  }

  private mutating func uniform() -> Double { Double(generator.next() >> 40) * 0x1p-24 }

  private mutating func whole(_ below: Double) -> Double { Double(Int(uniform() * below)) }

  private mutating func box() -> (Double, Double, Double, Double) {
    if grid { return (whole(6), whole(6), 1 + whole(4), 1 + whole(4)) }
    let (x, y, a, b) = (uniform() * 400, uniform() * 400, uniform(), uniform())
    return (x, y, 2 + a * a * a * 300, 2 + b * b * b * 300)
  }

  private mutating func near(_ box: (Double, Double, Double, Double)) -> (Double, Double, Double, Double) {
    if grid { return (box.0 + whole(2), box.1, box.2, box.3 + whole(2)) }
    let spread = uniform() * 0.5
    let x = box.0 + (uniform() - 0.5) * spread * box.2
    let y = box.1 + (uniform() - 0.5) * spread * box.3
    let width = box.2 * (1 + (uniform() - 0.5) * spread)
    return (x, y, width, box.3 * (1 + (uniform() - 0.5) * spread))
  }

  private mutating func predict(
    _ picture: Int, _ classIndex: Int, _ box: (Double, Double, Double, Double), share: Double = 1
  ) {
    let drawn = uniform()
    let score = (ties ? Double(Int(drawn * 20)) / 20 : drawn) * share
    predictions.append(
      DetectionPrediction(
        picture: picture, classIndex: classIndex, x: box.0, y: box.1, width: box.2, height: box.3, score: score))
  }
}

/// Doubles as the script writes them, to the last bit.
func exact(_ text: Any?) -> [Double] { (text as? String ?? "").split(separator: " ").compactMap { Double($0) } }
