import ModelUtils
import Testing

@Suite struct Pictures {
  @Test func reading() throws {
    try withFolder { folder in
      let (path, output) = ("\(folder)/photo.jpg", "\(folder)/fitted.png")
      try ImageFile.embeddedSample().write(to: path)

      let photo = try ImageFile(contentsOf: path)
      print(photo.height, photo.width, photo.bitDepth)
      let planes = try photo.planes()
      #expect(planes.shape == [3, photo.height, photo.width])

      let fitted = try letterbox(photo.bytes(), to: [640, 640])
      try ImageFile(pixels: fitted.image).write(to: output)

      let boxes = try Tensor([10, 20, 110, 220, 0.9, 0], [1, 6])
      let found = try fitted.boxesInOriginal(boxes)
      #expect(found.shape == [1, 6])

      let batch = try imageBatch(contentsOf: [path, output], size: [320, 320])
      print(batch.tensor.shape, batch.letterboxes.map(\.originalSize))
      #expect(batch.tensor.shape == [2, 3, 320, 320])

      let scaled = try scaleImage(batch.tensor, ratio: 0.83, gridSize: 32)
      let views = try forwardAugmentViews(batch.tensor)
      #expect(scaled.shape == [2, 3, 288, 288])
      #expect(views.count == 3)

      let predictions = [Tensor](repeating: try Tensor(.float32, [2, 100, 6]), count: 3)
      let joined = try Tensor.concatenated(
        zip(views, predictions).map { view, prediction in try view.descaled(prediction) }, axis: 1)
      #expect(joined.shape == [2, 300, 6])
    }
  }
}
