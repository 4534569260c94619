import ModelCore
import ModelRandom

/// Grounds of noise: four octaves of random values on ever finer grids, smoothly joined, between two colours, with grain.
enum ValueNoise {
  /// How many cells an octave has a side; the first is coloured, the others are grey.
  private static let octaves = [3, 7, 17, 41]
  private static let persistence = 0.55

  /// Rows of red, green and blue, about 0 to 1.
  static func ground(size: Int, drawing generator: inout NumPyGenerator) -> [Double] {
    var pixels = [Double](repeating: 0, count: size * size * 3)
    var amplitude = 1.0
    for (octave, cells) in octaves.enumerated() {
      let channels = octave == 0 ? 3 : 1
      let grid = (0..<(cells + 1) * (cells + 1) * channels).map { _ in generator.uniform() }
      add(Octave(grid: grid, cells: cells, channels: channels, size: size), amplitude, to: &pixels, size: size)
      amplitude *= persistence
    }
    let (least, greatest) = pixels.reduce(into: (Double.infinity, -Double.infinity)) { range, value in
      range = (min(range.0, value), max(range.1, value))
    }
    let dark = (0..<3).map { _ in generator.uniform() * 0.6 }
    let bright = (0..<3).map { _ in 0.3 + generator.uniform() * 0.6 }
    let (first, span) = (dark, zip(bright, dark).map { $0 - $1 })
    pixels.withUnsafeMutableBufferPointer { pixels in
      for pixel in 0..<size * size {
        let grain = generator.normal() * 0.02
        for channel in 0..<3 {
          let share = (pixels[3 * pixel + channel] - least) / (greatest - least)
          pixels[3 * pixel + channel] = first[channel] + span[channel] * share + grain
        }
      }
    }
    return pixels
  }

  /// The order of the operations is NumPy's; no two of them may be joined.
  private static func add(_ octave: Octave, _ amplitude: Double, to pixels: inout [Double], size: Int) {
    var (upper, lower) = (octave.line(0), octave.line(1))
    var cell = 0
    pixels.withUnsafeMutableBufferPointer { pixels in
      for row in 0..<size {
        let place = octave.places[row]
        while cell < place.cell {
          cell += 1
          (upper, lower) = (lower, octave.line(cell + 1))
        }
        let (share, rest) = (place.share, 1 - place.share)
        upper.withUnsafeBufferPointer { upper in
          lower.withUnsafeBufferPointer { lower in
            let line = UnsafeMutableBufferPointer(rebasing: pixels[row * size * 3..<(row + 1) * size * 3])
            for index in 0..<size * 3 { line[index] += amplitude * (upper[index] * rest + lower[index] * share) }
          }
        }
      }
    }
  }

  private struct Octave {
    /// For each pixel of a side the cell that it lies in, and how far.
    struct Place {
      let cell: Int
      let share: Double
    }

    let grid: [Double]
    let cells: Int
    let channels: Int
    let places: [Place]

    init(grid: [Double], cells: Int, channels: Int, size: Int) {
      (self.grid, self.cells, self.channels) = (grid, cells, channels)
      let step = Double(cells) / Double(size)
      places = (0..<size).map { pixel in
        let place = Double(pixel) * step
        let cell = min(Int(place), cells - 1)
        let share = place - Double(cell)
        return Place(cell: cell, share: share * share * (3 - 2 * share))
      }
    }

    /// A row of the grid, drawn out over a picture's width: red, green and blue of each pixel.
    func line(_ row: Int) -> [Double] {
      let start = row * (cells + 1)
      return [Double](unsafeUninitializedCapacity: places.count * 3) { line, count in
        for (pixel, place) in places.enumerated() {
          for color in 0..<3 {
            let channel = channels == 3 ? color : 0
            line[3 * pixel + color] =
              grid[(start + place.cell) * channels + channel] * (1 - place.share)
              + grid[(start + place.cell + 1) * channels + channel] * place.share
          }
        }
        count = places.count * 3
      }
    }
  }
}
