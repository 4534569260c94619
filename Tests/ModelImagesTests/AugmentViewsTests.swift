import ModelCore
import ModelImages
import Testing

extension Images {
  @Suite struct AugmentViewsTests {
    struct Golden: Decodable {
      struct View: Decodable {
        let shape: [Int]
        let values: [Float]
      }
      let shape: [Int]
      let stride: Int
      let views: [View]
      let raw: [[Float]]
      let descaled: [[Float]]
    }

    /// Views within the arithmetic of scaleImage, predictions to the bit.
    @Test func againstYOLOv5() throws {
      for golden in try goldens("views.json", of: Golden.self) {
        let count = golden.shape.reduce(1, *)
        let image = try Tensor((0..<count).map { Float(($0 * 7919 + 13) % 256) / 255 }, golden.shape)
        let views = try forwardAugmentViews(image, stride: golden.stride)
        #expect(views.count == golden.views.count)
        for (index, view) in views.enumerated() {
          let name: Comment = "\(golden.shape), view \(index)"
          #expect(view.image.shape == golden.views[index].shape, name)
          let found = try atEveryLevel(name) { try forwardAugmentViews(image, stride: golden.stride)[index].image }
          let error = zip(try found.floats(), golden.views[index].values).map { abs($0 - $1) }.max() ?? 9
          #expect(error < 5e-7, name)
          let raw = try Tensor(golden.raw[index], [golden.shape[0], 5, 6])
          #expect(try view.descaled(raw).floats() == golden.descaled[index], name)
        }
      }
    }

    @Test(arguments: [DType.float32, .float16, .uint8]) func views(dtype: DType) throws {
      let pixels: [UInt8] = (0..<3600).map { UInt8($0 * 31 % 256) }
      let shape = [2, 3, 20, 30]
      let image =
        dtype == .uint8
        ? try byteTensor(pixels, shape) : try Tensor(pixels.map { Float($0) / 255 }, shape).converted(to: dtype)
      var mirrored: [UInt8] = []
      for row in 0..<pixels.count / 30 { mirrored += pixels[row * 30..<row * 30 + 30].reversed() }
      let flipped = try byteTensor(mirrored, shape)
      let views = try forwardAugmentViews(image, stride: 16)
      #expect(views.map(\.scale) == [1, 0.83, 0.67])
      #expect(views.map(\.isFlipped) == [false, true, false])
      #expect(views.map(\.image.shape) == [shape, [2, 3, 32, 32], [2, 3, 16, 32]])
      #expect(views.allSatisfy { $0.originalSize == [20, 30] })
      if dtype == .float32 { #expect(views[0].image.identity == image.identity) }
      let wanted = try scaleImage(flipped, ratio: 0.83, gridSize: 16).floats()
      let error = zip(try views[1].image.floats(), wanted).map { abs($0 - $1) }.max() ?? 9
      #expect(error < (dtype == .float16 ? 1e-3 : 1e-6))
    }

    /// _descale_pred of [8.3, 4.15, 1.66, 0.83, 0.5] in a picture 100 wide.
    @Test func descaled() throws {
      let image = try Tensor(.float32, [1, 1, 50, 100])
      let view = try forwardAugmentViews(image)[1]
      let found = try view.descaled(Tensor([8.3, 4.15, 1.66, 0.83, 0.5], [1, 5])).floats()
      #expect(zip(found, [90, 5, 2, 1, 0.5]).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }
}
