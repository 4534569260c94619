#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A font of strokes: each printable character of ASCII as lines and arcs. Any other character is an empty box.
///
/// Letters stand on y = 0 and y grows upwards; a capital is 10 high, a small letter 7, and below the line there are 3.
enum StrokeFont {
  static let capHeight = 10.0
  /// How far strokes go below the line.
  static let descent = 3.0

  struct Glyph: Sendable {
    let segments: [Canvas.Segment]
    /// From its left edge to the next one's.
    let advance: Double

    /// - Parameters:
    ///   - width: of the strokes.
    ///   - path: `p x y x y …`, lines through points; `a x y rx ry from to`, an arc around a middle between two angles in
    ///     degrees, counterclockwise from the right; `d x y`, a dot.
    init(_ width: Double, _ path: String) {
      advance = width + 2.6
      var (segments, numbers, command): ([Canvas.Segment], [Double], Character) = ([], [], "p")
      for token in path.split(separator: " ") + [Substring(".")] {
        if let number = Double(token) {
          numbers.append(number)
        } else {
          segments += Self.segments(command, numbers)
          (numbers, command) = ([], token.first ?? "p")
        }
      }
      self.segments = segments
    }

    private static func segments(_ command: Character, _ numbers: [Double]) -> [Canvas.Segment] {
      var points = stride(from: 0, to: numbers.count - 1, by: 2).map { Canvas.Point(numbers[$0], numbers[$0 + 1]) }
      if command == "a", numbers.count == 6 {
        let count = max(4, Int(abs(numbers[5] - numbers[4]) / 18))
        points = (0...count).map { step in
          let angle = (numbers[4] + (numbers[5] - numbers[4]) * Double(step) / Double(count)) * .pi / 180
          return Canvas.Point(numbers[0] + numbers[2] * cos(angle), numbers[1] + numbers[3] * sin(angle))
        }
      }
      if points.count == 1 { return [(points[0], points[0])] }
      return zip(points, points.dropFirst()).map { ($0, $1) }
    }
  }

  static func glyph(of character: Character) -> Glyph { glyphs[character] ?? box }

  private static let box = Glyph(5.4, "p 0 0 5.4 0 5.4 9 0 9 0 0")

  private static let glyphs: [Character: Glyph] = [
    " ": Glyph(1.6, ""),
    "!": Glyph(0.8, "p 0.4 10 0.4 3.2 d 0.4 0.3"),
    "\"": Glyph(2.6, "p 0.3 10 0.3 7 p 2.3 10 2.3 7"),
    "#": Glyph(7, "p 1.6 0 3 10 p 4.4 0 5.8 10 p 0.6 6.8 7 6.8 p 0 3.2 6.4 3.2"),
    "$": Glyph(6, "a 3 7.3 2.8 2.2 30 270 a 3 2.8 3 2.3 90 -150 p 3 11.2 3 -1.2"),
    "%": Glyph(7.8, "a 1.7 8 1.7 2 0 360 a 6.1 2 1.7 2 0 360 p 6.6 10 1.2 0"),
    "&": Glyph(6.8, "a 2.8 8 1.9 2 -40 210 p 1.15 7 6.8 0 p 4.25 6.7 1 4.3 a 2.8 2.5 2.7 2.5 135 330 p 5.1 1.2 6.6 4"),
    "'": Glyph(0.6, "p 0.3 10 0.3 7"),
    "(": Glyph(2, "a 4 4 3.8 8.6 130 230"),
    ")": Glyph(2, "a -2 4 3.8 8.6 50 -50"),
    "*": Glyph(4.4, "p 2.2 9.8 2.2 5 p 0.2 8.6 4.2 6.2 p 4.2 8.6 0.2 6.2"),
    "+": Glyph(5.6, "p 0 4.6 5.6 4.6 p 2.8 7.4 2.8 1.8"),
    ",": Glyph(1, "p 0.9 0.6 0.2 -1.8"),
    "-": Glyph(3.6, "p 0 4.2 3.6 4.2"),
    ".": Glyph(0.8, "d 0.4 0.3"),
    "/": Glyph(4, "p 0 -1 4 10.6"),
    "0": Glyph(5.6, "a 2.8 5 2.8 5 0 360"),
    "1": Glyph(5.6, "p 0.8 8 3 10 3 0 p 0.8 0 5.2 0"),
    "2": Glyph(5.6, "a 2.8 7.3 2.7 2.7 165 -30 p 5.14 5.95 0.1 0 5.6 0"),
    "3": Glyph(5.6, "a 2.7 7.6 2.5 2.4 150 -90 a 2.7 2.6 2.9 2.6 90 -150"),
    "4": Glyph(5.6, "p 4.2 0 4.2 10 0 3 5.8 3"),
    "5": Glyph(5.6, "p 5.2 10 0.9 10 0.6 5.3 a 2.7 3.1 2.9 3.1 135 -150"),
    "6": Glyph(5.6, "a 2.8 3.1 2.8 3.1 0 360 a 5.4 3.1 5.4 6.9 180 105"),
    "7": Glyph(5.6, "p 0 10 5.6 10 2 0"),
    "8": Glyph(5.6, "a 2.8 7.6 2.4 2.4 0 360 a 2.8 2.6 2.8 2.6 0 360"),
    "9": Glyph(5.6, "a 2.8 6.9 2.8 3.1 0 360 a 0.2 6.9 5.4 6.9 0 -75"),
    ":": Glyph(0.8, "d 0.4 0.3 d 0.4 6"),
    ";": Glyph(1, "p 0.9 0.6 0.2 -1.8 d 0.8 6"),
    "<": Glyph(5, "p 5 8 0 4.6 5 1.2"),
    "=": Glyph(5.4, "p 0 6 5.4 6 p 0 3.2 5.4 3.2"),
    ">": Glyph(5, "p 0 8 5 4.6 0 1.2"),
    "?": Glyph(5, "a 2.5 7.4 2.4 2.6 165 -60 p 3.7 5.15 2.5 3.9 2.5 2.9 d 2.5 0.3"),
    "@": Glyph(8.8, "a 4.4 4 4.4 5.4 -20 300 a 4.2 4 1.9 2.2 0 360 p 6.1 6.2 6.1 3 a 7.3 2.9 1.2 1.2 180 320"),
    "A": Glyph(7, "p 0 0 3.5 10 7 0 p 1.2 3.4 5.8 3.4"),
    "B": Glyph(6, "p 3.4 0 0 0 0 10 3.4 10 a 3.4 7.6 2.4 2.4 -90 90 p 0 5.2 3.4 5.2 a 3.4 2.6 2.6 2.6 -90 90"),
    "C": Glyph(6.6, "a 3.8 5 3.8 5 45 315"),
    "D": Glyph(6.5, "p 2.5 0 0 0 0 10 2.5 10 a 2.5 5 4 5 -90 90"),
    "E": Glyph(5.5, "p 5.5 10 0 10 0 0 5.5 0 p 0 5.2 4.6 5.2"),
    "F": Glyph(5.2, "p 5.2 10 0 10 0 0 p 0 5.2 4.2 5.2"),
    "G": Glyph(7.6, "a 3.8 5 3.8 5 45 360 p 7.6 5 4.6 5"),
    "H": Glyph(6.5, "p 0 0 0 10 p 6.5 0 6.5 10 p 0 5.2 6.5 5.2"),
    "I": Glyph(3, "p 0 0 3 0 p 0 10 3 10 p 1.5 0 1.5 10"),
    "J": Glyph(4.5, "p 4.5 10 4.5 2.25 a 2.25 2.25 2.25 2.25 360 180"),
    "K": Glyph(6, "p 0 0 0 10 p 6 10 0 3.6 p 2.2 5.9 6 0"),
    "L": Glyph(5, "p 0 10 0 0 5 0"),
    "M": Glyph(8, "p 0 0 0 10 4 3 8 10 8 0"),
    "N": Glyph(6.5, "p 0 0 0 10 6.5 0 6.5 10"),
    "O": Glyph(7.6, "a 3.8 5 3.8 5 0 360"),
    "P": Glyph(5.7, "p 0 0 0 10 2.9 10 a 2.9 7.2 2.8 2.8 90 -90 p 2.9 4.4 0 4.4"),
    "Q": Glyph(7.6, "a 3.8 5 3.8 5 0 360 p 4.8 2.6 7.6 -0.8"),
    "R": Glyph(6, "p 0 0 0 10 2.9 10 a 2.9 7.2 2.8 2.8 90 -90 p 0 4.4 2.9 4.4 6 0"),
    "S": Glyph(6, "a 3 7.5 2.8 2.5 30 270 a 3 2.5 3 2.5 90 -150"),
    "T": Glyph(6.6, "p 0 10 6.6 10 p 3.3 10 3.3 0"),
    "U": Glyph(6.4, "p 0 10 0 3.2 a 3.2 3.2 3.2 3.2 180 360 p 6.4 3.2 6.4 10"),
    "V": Glyph(6.8, "p 0 10 3.4 0 6.8 10"),
    "W": Glyph(9.6, "p 0 10 2.4 0 4.8 8 7.2 0 9.6 10"),
    "X": Glyph(6.4, "p 0 0 6.4 10 p 0 10 6.4 0"),
    "Y": Glyph(6.6, "p 0 10 3.3 5 6.6 10 p 3.3 5 3.3 0"),
    "Z": Glyph(6, "p 0 10 6 10 0 0 6 0"),
    "[": Glyph(2.2, "p 2.2 11 0 11 0 -2 2.2 -2"),
    "\\": Glyph(4, "p 0 10.6 4 -1"),
    "]": Glyph(2.2, "p 0 11 2.2 11 2.2 -2 0 -2"),
    "^": Glyph(4.4, "p 0 6.4 2.2 10 4.4 6.4"),
    "_": Glyph(6, "p 0 -1.6 6 -1.6"),
    "`": Glyph(1.4, "p 0 10.4 1.4 8.6"),
    "a": Glyph(5.4, "a 2.7 3.5 2.7 3.5 0 360 p 5.4 7 5.4 0"),
    "b": Glyph(5.4, "p 0 10 0 0 a 2.7 3.5 2.7 3.5 0 360"),
    "c": Glyph(4.8, "a 2.8 3.5 2.8 3.5 50 310"),
    "d": Glyph(5.4, "a 2.7 3.5 2.7 3.5 0 360 p 5.4 10 5.4 0"),
    "e": Glyph(5.4, "p 0 3.5 5.4 3.5 a 2.7 3.5 2.7 3.5 0 315"),
    "f": Glyph(3.6, "a 3.2 8 1.7 2 60 180 p 1.5 8 1.5 0 p 0 6.7 3.6 6.7"),
    "g": Glyph(5.4, "a 2.7 3.5 2.7 3.5 0 360 p 5.4 7 5.4 -0.6 a 2.7 -0.6 2.7 2.4 0 -155"),
    "h": Glyph(5, "p 0 10 0 0 a 2.5 4.5 2.5 2.5 180 0 p 5 4.5 5 0"),
    "i": Glyph(0.8, "p 0.4 7 0.4 0 d 0.4 9.6"),
    "j": Glyph(2, "p 1.6 7 1.6 -1 a 0.2 -1 1.4 2 0 -90 d 1.6 9.6"),
    "k": Glyph(4.8, "p 0 10 0 0 p 4.6 7 0 2.6 p 1.7 4.2 4.8 0"),
    "l": Glyph(1.6, "p 0.2 10 0.2 1.4 a 1.6 1.4 1.4 1.4 180 270"),
    "m": Glyph(8, "p 0 7 0 0 a 2 5 2 2 180 0 p 4 5 4 0 a 6 5 2 2 180 0 p 8 5 8 0"),
    "n": Glyph(5, "p 0 7 0 0 a 2.5 4.5 2.5 2.5 180 0 p 5 4.5 5 0"),
    "o": Glyph(5.6, "a 2.8 3.5 2.8 3.5 0 360"),
    "p": Glyph(5.4, "p 0 7 0 -3 a 2.7 3.5 2.7 3.5 0 360"),
    "q": Glyph(5.4, "a 2.7 3.5 2.7 3.5 0 360 p 5.4 7 5.4 -3"),
    "r": Glyph(3.2, "p 0 7 0 0 a 2.6 4.4 2.6 2.6 180 75"),
    "s": Glyph(4.6, "a 2.3 5.25 2.1 1.75 35 270 a 2.3 1.75 2.3 1.75 90 -145"),
    "t": Glyph(3.4, "p 1.4 9.4 1.4 1.8 a 3.2 1.8 1.8 1.8 180 280 p 0 6.8 3.4 6.8"),
    "u": Glyph(5, "p 0 7 0 2.5 a 2.5 2.5 2.5 2.5 180 360 p 5 7 5 0"),
    "v": Glyph(5.2, "p 0 7 2.6 0 5.2 7"),
    "w": Glyph(7.6, "p 0 7 1.9 0 3.8 6 5.7 0 7.6 7"),
    "x": Glyph(4.8, "p 0 0 4.8 7 p 0 7 4.8 0"),
    "y": Glyph(5.2, "p 0 7 2.6 0 p 5.2 7 1.5 -3"),
    "z": Glyph(4.6, "p 0 7 4.6 7 0 0 4.6 0"),
    "{": Glyph(2.6, "p 2.6 11 1.4 10.4 1.4 5.4 0 4.5 1.4 3.6 1.4 -1.4 2.6 -2"),
    "|": Glyph(0.6, "p 0.3 11 0.3 -2.4"),
    "}": Glyph(2.6, "p 0 11 1.2 10.4 1.2 5.4 2.6 4.5 1.2 3.6 1.2 -1.4 0 -2"),
    "~": Glyph(6, "a 1.5 4.2 1.5 1.4 180 0 a 4.5 4.2 1.5 1.4 180 360"),
  ]
}
