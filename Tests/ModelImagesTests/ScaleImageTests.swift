import ModelCore
import ModelImages
import TestSupport
import Testing

extension Images {
  @Suite struct ScaleImageTests {
    struct Golden: Decodable {
      let height: Int
      let width: Int
      let ratio: Double
      let sameShape: Bool
      let grid: Int
      let shape: [Int]
      let values: [Double]
    }

    func picture(_ height: Int, _ width: Int) -> [UInt8] {
      (0..<2 * height * width).map { UInt8(($0 * 7919 + 13) % 256) }
    }

    @Test func againstPyTorch() throws {
      let cases = try goldens("scale.json", of: Golden.self)
      #expect(cases.count > 50)
      for golden in cases {
        let name: Comment = "\(golden.height)x\(golden.width) by \(golden.ratio), grid \(golden.grid)"
        let pixels = picture(golden.height, golden.width)
        let shape = [2, 1, golden.height, golden.width]
        let floats = try Tensor(pixels.map { Float($0) / 255 }, shape)
        for image in [floats, try byteTensor(pixels, shape)] {
          let result = try atEveryLevel(name) {
            try scaleImage(image, ratio: golden.ratio, sameShape: golden.sameShape, gridSize: golden.grid)
          }
          #expect(result.shape == golden.shape, name)
          let error = zip(try result.doubles(), golden.values).map { abs($0 - $1) }.max() ?? 0
          #expect(error < 3e-7, name)
        }
      }
    }

    /// Larger pictures, against the formula in double, at every level, in every type, at sizes that leave rests of
    /// vectors.
    @Test(arguments: [0.11, 0.29, 0.5, 0.83, 0.999, 1.3, 2.9]) func againstFormula(ratio: Double) throws {
      for (height, width) in [(33, 65), (17, 129), (40, 40), (2, 300)] where Int(Double(height) * ratio) > 0 {
        let pixels = picture(height, width)
        let shape = [1, 2, height, width]
        let floats = try Tensor(pixels.map { Float($0) / 255 }, shape)
        let name: Comment = "\(height)x\(width) by \(ratio)"
        for (image, tolerance) in [
          (floats, 2e-6), (try byteTensor(pixels, shape), 2e-6), (try floats.converted(to: .float16), 1e-3),
          (try floats.converted(to: .bfloat16), 8e-3),
        ] {
          let result = try atEveryLevel(name) { try scaleImage(image, ratio: ratio, gridSize: 8) }
          #expect(result.dtype == (image.dtype == .uint8 ? .float32 : image.dtype))
          let wanted = expected(pixels.map { Double($0) / 255 }, shape, ratio, result.shape)
          let error = zip(try result.doubles(), wanted).map { abs($0 - $1) }.max() ?? 0
          // The place in the source is a float32, whose error grows with the picture's side.
          #expect(error < tolerance + 3e-5, name)
        }
      }
    }

    func expected(_ values: [Double], _ shape: [Int], _ ratio: Double, _ out: [Int]) -> [Double] {
      let (height, width) = (shape[2], shape[3])
      let (rows, columns) = (Int(Double(height) * ratio), Int(Double(width) * ratio))
      func taps(_ place: Int, _ from: Int, _ to: Int) -> (Int, Int, Double) {
        let at = max(0, Double(from) / Double(to) * (Double(place) + 0.5) - 0.5)
        return (Int(at), min(Int(at) + 1, from - 1), at - Double(Int(at)))
      }
      var result = [Double](repeating: Double(Float(0.447)), count: out.reduce(1, *))
      for plane in 0..<shape[0] * shape[1] {
        for y in 0..<rows {
          let (y0, y1, v) = taps(y, height, rows)
          for x in 0..<columns {
            let (x0, x1, u) = taps(x, width, columns)
            func value(_ y: Int, _ x: Int) -> Double { values[(plane * height + y) * width + x] }
            result[(plane * out[2] + y) * out[3] + x] =
              (1 - v) * ((1 - u) * value(y0, x0) + u * value(y0, x1)) + v
              * ((1 - u) * value(y1, x0) + u * value(y1, x1))
          }
        }
      }
      return result
    }

    @Test func sizes() throws {
      let size = try ScaledSize(height: 480, width: 640, ratio: 0.83)
      #expect(size.resampled == [398, 531] && size.output == [416, 544] && size.padding == [18, 13])
      let cropped = try ScaledSize(height: 10, width: 20, ratio: 1.5, sameShape: true)
      #expect(cropped.output == [10, 20] && cropped.padding == [-5, -10])
      #expect(try ScaledSize(height: 7, width: 9, ratio: 1).output == [7, 9])
    }

    @Test func ratioOneIsTheInput() throws {
      let image = try Tensor([1, 2, 3, 4], [1, 1, 2, 2])
      #expect(try scaleImage(image, ratio: 1).identity == image.identity)
      let promoted = try scaleImage(byteTensor([0, 51, 255, 102], [1, 1, 2, 2]), ratio: 1)
      #expect(try promoted.dtype == .float32 && promoted.floats() == [0, 0.2, 1, 0.4])
    }

    @Test func paddingAndStrides() throws {
      let image = try Tensor([0, 1, 2, 3, 4, 5], [1, 1, 2, 3])
      let transposed = try Tensor(image.storage, dtype: .float32, shape: [1, 1, 3, 2], strides: [6, 6, 1, 3])
      let packed = try Tensor([0, 3, 1, 4, 2, 5], [1, 1, 3, 2])
      let found = try scaleImage(transposed, ratio: 1.5, gridSize: 5, paddingValue: -1)
      #expect(try found.floats() == scaleImage(packed, ratio: 1.5, gridSize: 5, paddingValue: -1).floats())
      #expect(try found.shape == [1, 1, 5, 5] && found.floats().last == -1)
      #expect(try scaleImage(Tensor([], [0, 3, 4, 4]), ratio: 0.5, gridSize: 1).shape == [0, 3, 2, 2])
    }

    @Test func refusals() throws {
      let image = try Tensor([1, 2, 3, 4, 5, 6], [1, 1, 2, 3])
      func said(_ ratio: Double, grid: Int = 32, of image: Tensor) -> String {
        refusal { _ = try scaleImage(image, ratio: ratio, gridSize: grid) } ?? ""
      }
      #expect(said(0.4, of: image) == "2x3 scaled by 0.4 would be 0x1")
      for ratio in [0, -1, .nan, .infinity] { #expect(said(ratio, of: image).contains("is no ratio")) }
      #expect(said(1e300, of: image).contains("would have a side of more than 16777216 pixels"))
      #expect(said(3e6, of: image).contains("does not fit in this machine's memory"))
      #expect(said(0.5, grid: 0, of: image) == "0 is no grid: it must be 1 to 16777216 pixels")
      #expect(said(0.5, grid: .max, of: image).contains("is no grid"))
      #expect(said(0.5, of: try Tensor([1, 2], [2])).contains("[batch, channels, height, width], not [2]"))
      #expect(said(0.5, of: try Tensor([], [1, 1, 0, 4])).contains("0x4"))
      #expect(said(0.5, of: try Tensor(.int64, [1, 1, 4, 4])).contains("int64 pictures cannot be scaled"))
    }
  }
}
