// Runs the sample on one photo and prints what it made: "plan SIZES", or "upscale HEIGHT WIDTH FILE OUT [ALPHA]".

/// Enlarges to nearest neighbours and adds a pattern that depends on the place in the tile, so that tiles disagree.
func patterned(_ colours: [UInt8]) -> [UInt8] {
    let side = TileRecipe.tile * TileRecipe.scale
    var results: [UInt8] = []
    for row in 0..<side {
        for column in 0..<side {
            for channel in 0..<3 {
                let at = (row / TileRecipe.scale * TileRecipe.tile + column / TileRecipe.scale) * 3 + channel
                results.append(UInt8(min(max(Int(colours[at]) + (7 * row + 13 * column + 5 * channel) % 41 - 20, 0), 255)))
            }
        }
    }
    return results
}

func model(input: Int) -> MLModel {
    let description = MLModelDescription(
        inputs: [TileRecipe.input: MLFeatureDescription(side: input)],
        outputs: [TileRecipe.output: MLFeatureDescription(side: TileRecipe.tile * TileRecipe.scale)])
    return MLModel(description: description, compute: patterned)
}

func sentence(_ body: @Sendable () async throws -> Void) async -> String {
    do {
        try await body()
        return "no error"
    } catch is CancellationError {
        return "cancelled"
    } catch {
        return (error as? LocalizedError)?.errorDescription ?? "\(error)"
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())

switch arguments[0] {
case "plan":
    print(TilePlan.selfCheck())
    for size in arguments.dropFirst().compactMap(Int.init) {
        let plan = TilePlan(size: size)
        print(plan.padded, plan.starts, plan.sources, plan.starts.indices.map(plan.weights), separator: ";")
    }
case "upscale":
    let (height, width) = (Int(arguments[1])!, Int(arguments[2])!)
    let pixels = [UInt8](try Data(contentsOf: URL(fileURLWithPath: arguments[3])))
    let photo = CGImage(
        height: height, width: width, space: CGColorSpace(name: "own"), alpha: .noneSkipLast, pixels: pixels)
    let upscaler = try PocketUpscaler(model: model(input: TileRecipe.tile))
    let result = try await upscaler.upscale(photo) { part in print(part) }
    print(result.height, result.width, result.colorSpace!.name)
    try Data(result.pixels).write(to: URL(fileURLWithPath: arguments[4]))
case "refuse":
    let clear = CGImage(
        height: 1, width: 2, space: nil, alpha: .premultipliedLast, pixels: [9, 9, 9, 255, 9, 9, 9, 254])
    let solid = CGImage(height: 1, width: 2, space: nil, alpha: .last, pixels: [9, 9, 9, 255, 9, 9, 9, 255])
    let upscaler = try PocketUpscaler(model: model(input: TileRecipe.tile))
    print(await sentence { _ = try PocketUpscaler(model: model(input: 8)) })
    print(await sentence { _ = try PocketUpscaler(compiledModelAt: URL(fileURLWithPath: "/none")) })
    print(await sentence { _ = try await upscaler.upscale(clear) })
    print(await sentence { print(try await upscaler.upscale(solid).colorSpace!.name) })
    let job = Task {
        await sentence { _ = try await upscaler.upscale(solid) { _ in withUnsafeCurrentTask { $0?.cancel() } } }
    }
    print(await job.value)
    let wide = CGImage(height: 1, width: 99, space: nil, alpha: .none, pixels: [UInt8](repeating: 9, count: 396))
    let stopped = Task {
        await sentence { _ = try await upscaler.upscale(wide) { _ in withUnsafeCurrentTask { $0?.cancel() } } }
    }
    print(await stopped.value)
default:
    fatalError("unknown command")
}
