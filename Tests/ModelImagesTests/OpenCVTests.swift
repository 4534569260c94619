import ModelCore
import ModelImages
import TestSupport
import Testing

extension Images {
  /// Affine maps, area resizing and HSV, by make_opencv.py's pictures.
  @Suite struct OpenCVTests {
    struct Golden: Decodable {
      let call: String
      let height: Int
      let width: Int
      let numbers: [Double]
      let size: [Int]
      let bytes: [UInt8]
    }

    func picture(_ height: Int, _ width: Int) throws -> Tensor {
      try byteTensor((0..<height * width * 3).map { UInt8($0 * 40503 % 65536 / 256) }, [height, width, 3])
    }

    @Test(arguments: ["warp", "area", "hsv"]) func againstOpenCV(call: String) throws {
      let all = try goldens("opencv.json", of: Golden.self).filter { $0.call == call }
      #expect(!all.isEmpty)
      for golden in all {
        let image = try picture(golden.height, golden.width)
        let n = golden.numbers
        let result =
          switch call {
          case "warp":
            try warpAffine(
              image, by: AffineMap(xx: n[0], xy: n[1], dx: n[2], yx: n[3], yy: n[4], dy: n[5]), to: golden.size)
          case "area": try resizePixels(image, to: golden.size, interpolation: .area)
          default: try HSVGains(hue: n[0], saturation: n[1], value: n[2])(image)
          }
        #expect(result.shape == golden.size + [3])
        let name: Comment = "\(golden.height)x\(golden.width) \(n) to \(golden.size)"
        if call == "area" {
          #expect(zip(try bytes(result), golden.bytes).allSatisfy { abs(Int($0) - Int($1)) <= 1 }, name)
        } else {
          #expect(try bytes(result) == golden.bytes, name)
        }
      }
    }

    @Test func maps() {
      let map = AffineMap(xx: 2, xy: 1, dx: 3, yx: -1, yy: 0.5, dy: 7)
      let there = map(5, -2)
      #expect(there == (11, 1))
      #expect(map.inverse(there.x, there.y) == (5, -2))
      let both = map * AffineMap(dx: 1, dy: 2)
      #expect(both(0, 0) == map(1, 2))
      #expect(AffineMap.identity(3, 4) == (3, 4))
      #expect(AffineMap(xx: 0, yy: 0).inverse(9, 9) == (0, 0))
    }

    /// Coordinates beyond all numbers give the grey, and nothing is read.
    @Test func absurdMaps() throws {
      let image = try picture(5, 6)
      for scale in [1e-300, 1e300, .infinity, .nan] {
        let map = AffineMap(xx: scale, dx: scale, yy: scale)
        #expect(try warpAffine(image, by: map, to: [4, 4]).shape == [4, 4, 3])
      }
      #expect(
        try bytes(warpAffine(image, by: AffineMap(dx: 1e30), to: [2, 2], border: 7)) == [UInt8](repeating: 7, count: 12)
      )
    }

    @Test func refusals() throws {
      let image = try picture(5, 6)
      #expect(refusal { _ = try resizePixels(image, to: [0, 3]) }?.contains("a size is") == true)
      #expect(refusal { _ = try resizePixels(image, to: [6, 6], interpolation: .area) }?.contains("no areas") == true)
      #expect(try resizePixels(image, to: [5, 6]).bytes() == image.bytes())
      #expect(refusal { _ = try warpAffine(image, by: .identity, to: [3]) }?.contains("a size is") == true)
      #expect(refusal { _ = try warpAffine(Tensor([1], [1]), by: .identity, to: [3, 3]) } != nil)
      #expect(refusal { _ = try HSVGains(hue: -1, saturation: 1, value: 1) }?.contains("cannot be multiplied") == true)
      #expect(refusal { _ = try HSVGains(hue: 1, saturation: .nan, value: 1) } != nil)
      #expect(refusal { _ = try HSVGains(hue: 1e308, saturation: 1, value: 1) } != nil)
    }
  }
}
